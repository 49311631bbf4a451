"""The types of the nested values of a study, with the names of the API in snake case."""

from __future__ import annotations

from typing import TypedDict


class OtherId:
    """An identifier of the study besides its NCT number."""

    id: str
    type: str
    domain: str
    link: str


Sponsor = TypedDict("Sponsor", {"name": str, "class": str})  # ``class`` is a word of Python
"""A sponsor or a collaborator."""


class Arm:
    """A group of participants, and what they receive."""

    label: str
    type: str
    description: str
    intervention_names: list[str]


class Intervention:
    """A drug, device, procedure or behaviour that is studied."""

    type: str
    name: str
    description: str
    arm_group_labels: list[str]
    other_names: list[str]


class Outcome:
    """What is measured."""

    measure: str
    description: str
    time_frame: str


class GeoPoint:
    """A place on the map, in degrees."""

    lat: float
    lon: float


class Contact:
    """Whom to ask."""

    name: str
    role: str
    phone: str
    phone_ext: str
    email: str


class Official:
    """Who is responsible for the study."""

    name: str
    affiliation: str
    role: str


class Location:
    """Where the study takes place."""

    facility: str
    status: str
    city: str
    state: str
    zip: str
    country: str
    contacts: list[Contact]
    geo_point: GeoPoint


class Retraction:
    """A notice that a cited article was retracted."""

    pmid: str
    source: str


class CitedArticle:
    """A cited article."""

    pmid: str
    type: str
    citation: str
    retractions: list[Retraction]


class Link:
    """A web page."""

    label: str
    url: str


class Mesh:
    """A MeSH descriptor."""

    id: str
    term: str


class LargeDocument:
    """A protocol, analysis plan or consent form that was uploaded."""

    type_abbrev: str
    has_protocol: bool
    has_sap: bool
    has_icf: bool
    label: str
    date: str
    upload_date: str
    filename: str
    size: int


class Group:
    """A group of participants in the results."""

    id: str
    title: str
    description: str


class Achievement:
    """How many participants of a group passed a milestone, or left."""

    group_id: str
    comment: str
    num_subjects: str
    num_units: str


class Milestone:
    """One milestone of a period."""

    type: str
    comment: str
    achievements: list[Achievement]


class Withdrawal:
    """One reason for leaving a period."""

    type: str
    comment: str
    reasons: list[Achievement]


class Period:
    """One period of the study."""

    title: str
    milestones: list[Milestone]
    drop_withdraws: list[Withdrawal]


class Count:
    """A number for one group."""

    group_id: str
    value: str


class Denominator:
    """How many units were analysed, by group."""

    units: str
    counts: list[Count]


class Measurement:
    """One measured value of one group."""

    group_id: str
    value: str
    spread: str
    lower_limit: str
    upper_limit: str
    comment: str


class Category:
    """One category of a class of measurements."""

    title: str
    measurements: list[Measurement]


class MeasureClass:
    """One class of measurements."""

    title: str
    denoms: list[Denominator]
    categories: list[Category]


class BaselineMeasure:
    """One measure at the baseline."""

    title: str
    description: str
    population_description: str
    param_type: str
    dispersion_type: str
    unit_of_measure: str
    calculate_pct: bool
    denom_units_selected: str
    denoms: list[Denominator]
    classes: list[MeasureClass]


class Analysis:
    """One statistical analysis of an outcome."""

    param_type: str
    param_value: str
    dispersion_type: str
    dispersion_value: str
    statistical_method: str
    statistical_comment: str
    p_value: str
    p_value_comment: str
    ci_num_sides: str
    ci_pct_value: str
    ci_lower_limit: str
    ci_upper_limit: str
    ci_lower_limit_comment: str
    ci_upper_limit_comment: str
    estimate_comment: str
    tested_non_inferiority: bool
    non_inferiority_type: str
    non_inferiority_comment: str
    other_analysis_description: str
    group_description: str
    group_ids: list[str]


class OutcomeMeasure:
    """One measured outcome with its results."""

    type: str
    title: str
    description: str
    population_description: str
    reporting_status: str
    anticipated_posting_date: str
    param_type: str
    dispersion_type: str
    unit_of_measure: str
    calculate_pct: bool
    time_frame: str
    type_units_analyzed: str
    denom_units_selected: str
    groups: list[Group]
    denoms: list[Denominator]
    classes: list[MeasureClass]
    analyses: list[Analysis]


class EventGroup:
    """A group of participants whose adverse events were counted."""

    id: str
    title: str
    description: str
    deaths_num_affected: int
    deaths_num_at_risk: int
    serious_num_affected: int
    serious_num_at_risk: int
    other_num_affected: int
    other_num_at_risk: int


class EventCount:
    """How often an adverse event happened in one group."""

    group_id: str
    num_events: int
    num_affected: int
    num_at_risk: int


class AdverseEvent:
    """One kind of adverse event."""

    term: str
    organ_system: str
    source_vocabulary: str
    assessment_type: str
    notes: str
    stats: list[EventCount]
