# ruff: noqa: TC001 - the types of the columns are read from the annotations
"""The typed columns of studies. `At` says where each value stands in a study, with its keys in snake case."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from penstock.adapters.clinicaltrials.parts import (
    AdverseEvent,
    Arm,
    BaselineMeasure,
    CitedArticle,
    Contact,
    Denominator,
    EventGroup,
    Group,
    Intervention,
    LargeDocument,
    Link,
    Location,
    Mesh,
    Official,
    OtherId,
    Outcome,
    OutcomeMeasure,
    Period,
    Sponsor,
)
from penstock.adapters.json_records import At, day, precision
from penstock.columns import INDEXED


class StudyColumns:
    """The columns of a study. The metadata has dates as the API has them: ``2018-03`` or ``2018-03-08``."""

    nct_id: Annotated[str, "The NCT number.", INDEXED]
    acronym: Annotated[str, "The acronym.", At("protocol_section.identification_module.acronym")]
    official_title: Annotated[
        str,
        "The official title; `title` is the brief one.",
        At("protocol_section.identification_module.official_title"),
    ]
    org_study_id: Annotated[
        str,
        "The identifier that the organization gave.",
        At("protocol_section.identification_module.org_study_id_info.id"),
    ]
    secondary_ids: Annotated[
        list[OtherId], "Other identifiers.", At("protocol_section.identification_module.secondary_id_infos")
    ]
    nct_id_aliases: Annotated[
        list[str],
        "NCT numbers that now mean this study.",
        At("protocol_section.identification_module.nct_id_aliases"),
    ]
    organization: Annotated[
        str,
        "The organization that submitted the study.",
        At("protocol_section.identification_module.organization.full_name"),
    ]
    status: Annotated[
        str,
        "The overall status: `RECRUITING`, `COMPLETED`, ...",
        At("protocol_section.status_module.overall_status"),
    ]
    last_known_status: Annotated[
        str, "The status before it became unknown.", At("protocol_section.status_module.last_known_status")
    ]
    why_stopped: Annotated[
        str, "Why the study was stopped.", At("protocol_section.status_module.why_stopped")
    ]
    start_date: Annotated[
        date,
        "The first day on which the study can have started.",
        At("protocol_section.status_module.start_date_struct.date"),
        day("start_date"),
    ]
    start_date_precision: Annotated[str, "`day` or `month`.", precision("start_date")]
    start_date_type: Annotated[
        str, "`ACTUAL` or `ESTIMATED`.", At("protocol_section.status_module.start_date_struct.type")
    ]
    primary_completion_date: Annotated[
        date,
        "When the primary outcome was or will be measured completely.",
        At("protocol_section.status_module.primary_completion_date_struct.date"),
        day("primary_completion_date"),
    ]
    primary_completion_date_precision: Annotated[
        str, "`day` or `month`.", precision("primary_completion_date")
    ]
    primary_completion_date_type: Annotated[
        str,
        "`ACTUAL` or `ESTIMATED`.",
        At("protocol_section.status_module.primary_completion_date_struct.type"),
    ]
    completion_date: Annotated[
        date,
        "When the last participant was or will be seen.",
        At("protocol_section.status_module.completion_date_struct.date"),
        day("completion_date"),
    ]
    completion_date_precision: Annotated[str, "`day` or `month`.", precision("completion_date")]
    completion_date_type: Annotated[
        str, "`ACTUAL` or `ESTIMATED`.", At("protocol_section.status_module.completion_date_struct.type")
    ]
    first_submitted: Annotated[
        date,
        "When the study was submitted.",
        At("protocol_section.status_module.study_first_submit_date"),
        day("first_submitted"),
    ]
    first_posted: Annotated[
        date,
        "When it was published.",
        At("protocol_section.status_module.study_first_post_date_struct.date"),
        day("first_posted"),
    ]
    results_first_submitted: Annotated[
        date,
        "When results were submitted.",
        At("protocol_section.status_module.results_first_submit_date"),
        day("results_first_submitted"),
    ]
    results_first_posted: Annotated[
        date,
        "When results were published.",
        At("protocol_section.status_module.results_first_post_date_struct.date"),
        day("results_first_posted"),
    ]
    last_update_submitted: Annotated[
        date,
        "When this version was submitted.",
        At("protocol_section.status_module.last_update_submit_date"),
        day("last_update_submitted"),
    ]
    last_update_posted: Annotated[
        date,
        "When this version was published.",
        At("protocol_section.status_module.last_update_post_date_struct.date"),
        day("last_update_posted"),
    ]
    verified: Annotated[
        date,
        "The month in which the sponsor last verified the record: its first day.",
        At("protocol_section.status_module.status_verified_date"),
        day("verified"),
    ]
    study_type: Annotated[
        str,
        "`INTERVENTIONAL`, `OBSERVATIONAL` or `EXPANDED_ACCESS`.",
        At("protocol_section.design_module.study_type"),
    ]
    phases: Annotated[
        list[str], "`EARLY_PHASE1`, `PHASE1` to `PHASE4`, `NA`.", At("protocol_section.design_module.phases")
    ]
    allocation: Annotated[
        str,
        "How participants are assigned to arms.",
        At("protocol_section.design_module.design_info.allocation"),
    ]
    intervention_model: Annotated[
        str,
        "`PARALLEL`, `CROSSOVER`, ...",
        At("protocol_section.design_module.design_info.intervention_model"),
    ]
    primary_purpose: Annotated[
        str,
        "`TREATMENT`, `PREVENTION`, ...",
        At("protocol_section.design_module.design_info.primary_purpose"),
    ]
    observational_model: Annotated[
        str,
        "`COHORT`, `CASE_CONTROL`, ...",
        At("protocol_section.design_module.design_info.observational_model"),
    ]
    time_perspective: Annotated[
        str,
        "`PROSPECTIVE`, `RETROSPECTIVE`, ...",
        At("protocol_section.design_module.design_info.time_perspective"),
    ]
    masking: Annotated[
        str,
        "`NONE`, `SINGLE` to `QUADRUPLE`.",
        At("protocol_section.design_module.design_info.masking_info.masking"),
    ]
    who_masked: Annotated[
        list[str],
        "Who does not know the assignment.",
        At("protocol_section.design_module.design_info.masking_info.who_masked"),
    ]
    enrollment: Annotated[
        int, "How many participants.", At("protocol_section.design_module.enrollment_info.count")
    ]
    enrollment_type: Annotated[
        str, "`ACTUAL` or `ESTIMATED`.", At("protocol_section.design_module.enrollment_info.type")
    ]
    lead_sponsor: Annotated[
        str,
        "The lead sponsor.",
        At("protocol_section.sponsor_collaborators_module.lead_sponsor.name"),
        INDEXED,
    ]
    lead_sponsor_class: Annotated[
        str,
        "`INDUSTRY`, `NIH`, `OTHER`, ...",
        At("protocol_section.sponsor_collaborators_module.lead_sponsor.class"),
    ]
    collaborators: Annotated[
        list[Sponsor], "Other sponsors.", At("protocol_section.sponsor_collaborators_module.collaborators")
    ]
    conditions: Annotated[
        list[str], "The conditions that are studied.", At("protocol_section.conditions_module.conditions")
    ]
    keywords: Annotated[
        list[str], "Keywords of the sponsor.", At("protocol_section.conditions_module.keywords")
    ]
    condition_mesh: Annotated[
        list[Mesh],
        "MeSH descriptors of the conditions.",
        At("derived_section.condition_browse_module.meshes"),
        INDEXED,
    ]
    condition_mesh_ancestors: Annotated[
        list[Mesh], "Their ancestors.", At("derived_section.condition_browse_module.ancestors")
    ]
    intervention_mesh: Annotated[
        list[Mesh],
        "MeSH descriptors of the interventions.",
        At("derived_section.intervention_browse_module.meshes"),
        INDEXED,
    ]
    intervention_mesh_ancestors: Annotated[
        list[Mesh], "Their ancestors.", At("derived_section.intervention_browse_module.ancestors")
    ]
    arms: Annotated[
        list[Arm], "The groups of participants.", At("protocol_section.arms_interventions_module.arm_groups")
    ]
    interventions: Annotated[
        list[Intervention], "What is studied.", At("protocol_section.arms_interventions_module.interventions")
    ]
    primary_outcomes: Annotated[
        list[Outcome], "The primary outcomes.", At("protocol_section.outcomes_module.primary_outcomes")
    ]
    secondary_outcomes: Annotated[
        list[Outcome], "The secondary outcomes.", At("protocol_section.outcomes_module.secondary_outcomes")
    ]
    other_outcomes: Annotated[
        list[Outcome], "The other outcomes.", At("protocol_section.outcomes_module.other_outcomes")
    ]
    eligibility_criteria: Annotated[
        str, "Who may take part.", At("protocol_section.eligibility_module.eligibility_criteria")
    ]
    healthy_volunteers: Annotated[
        bool,
        "Whether healthy people may take part.",
        At("protocol_section.eligibility_module.healthy_volunteers"),
    ]
    sex: Annotated[str, "`ALL`, `FEMALE` or `MALE`.", At("protocol_section.eligibility_module.sex")]
    minimum_age: Annotated[
        str, "With its unit, such as `18 Years`.", At("protocol_section.eligibility_module.minimum_age")
    ]
    maximum_age: Annotated[str, "With its unit.", At("protocol_section.eligibility_module.maximum_age")]
    age_groups: Annotated[
        list[str], "`CHILD`, `ADULT`, `OLDER_ADULT`.", At("protocol_section.eligibility_module.std_ages")
    ]
    locations: Annotated[
        list[Location],
        "Where the study takes place.",
        At("protocol_section.contacts_locations_module.locations"),
    ]
    officials: Annotated[
        list[Official],
        "Who is responsible.",
        At("protocol_section.contacts_locations_module.overall_officials"),
    ]
    central_contacts: Annotated[
        list[Contact], "Whom to ask.", At("protocol_section.contacts_locations_module.central_contacts")
    ]
    references: Annotated[
        list[CitedArticle],
        "Cited articles; type `RESULT` or `DERIVED` reports on the study.",
        At("protocol_section.references_module.references"),
    ]
    see_also: Annotated[list[Link], "Web pages.", At("protocol_section.references_module.see_also_links")]
    ipd_sharing: Annotated[
        str,
        "Whether data of single participants will be shared: `YES`, `NO`, `UNDECIDED`.",
        At("protocol_section.ipd_sharing_statement_module.ipd_sharing"),
    ]
    fda_regulated_drug: Annotated[
        bool,
        "Whether the FDA regulates a drug of the study.",
        At("protocol_section.oversight_module.is_fda_regulated_drug"),
    ]
    fda_regulated_device: Annotated[
        bool,
        "Whether the FDA regulates a device of the study.",
        At("protocol_section.oversight_module.is_fda_regulated_device"),
    ]
    has_results: Annotated[bool, "Whether results are published.", At("has_results")]
    flow_groups: Annotated[
        list[Group],
        "Results: the groups of the participant flow.",
        At("results_section.participant_flow_module.groups"),
    ]
    flow_periods: Annotated[
        list[Period],
        "Results: who started, completed and left each period.",
        At("results_section.participant_flow_module.periods"),
    ]
    baseline_groups: Annotated[
        list[Group],
        "Results: the groups at the baseline.",
        At("results_section.baseline_characteristics_module.groups"),
    ]
    baseline_denominators: Annotated[
        list[Denominator],
        "Results: participants by group at the baseline.",
        At("results_section.baseline_characteristics_module.denoms"),
    ]
    baseline_measures: Annotated[
        list[BaselineMeasure],
        "Results: age, sex and other measures at the baseline.",
        At("results_section.baseline_characteristics_module.measures"),
    ]
    outcome_measures: Annotated[
        list[OutcomeMeasure],
        "Results: the measured outcomes and their analyses.",
        At("results_section.outcome_measures_module.outcome_measures"),
    ]
    event_groups: Annotated[
        list[EventGroup],
        "Results: the groups whose adverse events were counted.",
        At("results_section.adverse_events_module.event_groups"),
    ]
    serious_events: Annotated[
        list[AdverseEvent],
        "Results: serious adverse events.",
        At("results_section.adverse_events_module.serious_events"),
    ]
    other_events: Annotated[
        list[AdverseEvent],
        "Results: other adverse events.",
        At("results_section.adverse_events_module.other_events"),
    ]
    documents: Annotated[
        list[LargeDocument],
        "Uploaded protocols, analysis plans and consent forms.",
        At("document_section.large_document_module.large_docs"),
    ]
    data_version: Annotated[
        date,
        "The day of the data that the API answered from.",
        At("derived_section.misc_info_module.version_holder"),
        day("data_version"),
    ]
