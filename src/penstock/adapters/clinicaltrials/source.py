"""ClinicalTrials.gov as a `Source`, and the call that builds its adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from penstock.adapters.clinicaltrials.columns import StudyColumns
from penstock.adapters.clinicaltrials.study import SOURCE, read_study, study_ids, study_record_id
from penstock.adapters.event_flow import Adapter
from penstock.adapters.http.json_source import JsonSource
from penstock.adapters.http.paging import PageToken, Paging
from penstock.adapters.places import Place, at
from penstock.errors import GraphError
from penstock.runtime.arguments import positive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.adapters.http.pages import RecordsPage
    from penstock.document import Document, RawRecord

PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
"""Of the API, which takes larger numbers as this one."""


class ClinicalTrialsSource(JsonSource):
    """Studies of ClinicalTrials.gov, from version 2 of its API.

    A ``doc_id`` is ``clinicaltrials:<NCT number>.<day of the last update>``. `StudyColumns` describes the
    metadata and the typed columns. What no column names is in the metadata ``extra``, with the keys of the
    API in snake case.

    Source: https://clinicaltrials.gov/data-api/api
    """

    name: ClassVar[str] = SOURCE
    schema: ClassVar[type | None] = StudyColumns
    url: ClassVar[str] = "https://clinicaltrials.gov/api/v2/studies"
    params: ClassVar[Mapping[str, Any]] = {"format": "json", "countTotal": "true", "pageSize": PAGE_SIZE}
    paging: ClassVar[Paging] = PageToken("pageToken", "nextPageToken")
    records: ClassVar[Place] = "studies"
    id: ClassVar[Place] = "protocolSection.identificationModule.nctId"
    total: ClassVar[Place | None] = "totalCount"

    def raw_records(self, page: RecordsPage) -> list[RawRecord]:
        """Return the raw records of a page.

        The day of the API's data stands in each study, and changes every day. It is moved beside the bytes:
        otherwise each study would seem to have changed.
        """
        days = [_take_data_version(study) for study in page.items]
        records = super().raw_records(page)
        for raw, day in zip(records, days, strict=True):
            if isinstance(day, str):
                raw.context["data_version"] = day
        return records

    def doc_id(self, record: dict[str, Any]) -> str:
        """Return ``clinicaltrials:<NCT number>.<day of the last update>``."""
        nct, version = study_ids(record, "of the API")
        return f"{study_record_id(nct)}.{version}" if version else study_record_id(nct)

    def document(self, record: dict[str, Any], raw: RawRecord) -> Document:
        """Return the document of a study; see `read_study`."""
        document = read_study(record, raw)
        if day := raw.context.get("data_version"):
            document.metadata["data_version"] = day
        return document


def _take_data_version(study: Any) -> Any:
    place = at(study, "derivedSection.miscInfoModule")
    return place.pop("versionHolder", None) if isinstance(place, dict) else None


def clinicaltrials(
    *,
    condition: str | None = None,
    term: str | None = None,
    intervention: str | None = None,
    sponsor: str | None = None,
    location: str | None = None,
    status: Sequence[str] = (),
    ids: Sequence[str] = (),
    advanced: str | None = None,
    page_size: int = PAGE_SIZE,
    url: str | None = None,
    client: Mapping[str, Any] | None = None,
) -> Adapter:
    """Read studies of ClinicalTrials.gov that match a query, or all of them, as an adapter.

    The queries are in the language of the site: ``lung cancer AND NOT small cell``.

    Args:
        condition: A condition or disease.
        term: Any words of a study.
        intervention: A drug, device or other treatment.
        sponsor: A sponsor or collaborator.
        location: A place.
        status: Overall statuses, such as ``RECRUITING``; a study must have one of them.
        ids: NCT numbers; only these studies.
        advanced: A query with fields: ``AREA[Phase]PHASE3 AND AREA[StartDate]RANGE[2020-01-01,MAX]``.
        page_size: The most studies in one page, up to 1,000.
        url: Another address of the API.
        client: Options for the `HttpClient`.

    Raises:
        GraphError: ``page_size`` is not between 1 and 1,000.
    """
    positive("clinicaltrials", "page_size", page_size)
    if page_size > MAX_PAGE_SIZE:
        raise GraphError(f"clinicaltrials: page_size must be at most {MAX_PAGE_SIZE:,}, not {page_size:,}")
    params = {
        "query.cond": condition,
        "query.term": term,
        "query.intr": intervention,
        "query.spons": sponsor,
        "query.locn": location,
        "filter.overallStatus": "|".join(status) or None,
        "filter.ids": "|".join(ids) or None,
        "filter.advanced": advanced,
        "pageSize": page_size,
    }
    return Adapter(ClinicalTrialsSource(params, url=url, client=client), page_size=page_size)
