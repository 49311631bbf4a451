"""What the registry knows about ``clinicaltrials``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from penstock.adapters.registry import AdapterEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.adapters.event_flow import Adapter


class ClinicalTrialsSettings(BaseModel):
    """Settings of ``clinicaltrials``: the fields are its keyword arguments of the same name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    condition: str | None = Field(default=None, description="A condition or disease, in the site's language.")
    term: str | None = Field(default=None, description="Any words of a study.")
    intervention: str | None = Field(default=None, description="A drug, device or other treatment.")
    sponsor: str | None = Field(default=None, description="A sponsor or collaborator.")
    location: str | None = Field(default=None, description="A place.")
    status: list[str] = Field(default=[], description="Overall statuses, such as RECRUITING; one of them.")
    ids: list[str] = Field(default=[], description="NCT numbers; only these studies.")
    advanced: str | None = Field(
        default=None, description="A query with fields, such as AREA[Phase]PHASE3 AND AREA[Sex]FEMALE."
    )
    page_size: int = Field(default=100, ge=1, le=1000, description="The most studies in one request.")
    url: str | None = Field(default=None, description="Another address of the API, for instance a mirror.")


def _build(inputs: Sequence[str], settings: ClinicalTrialsSettings) -> Adapter:  # noqa: ARG001  it has none
    from penstock.adapters.clinicaltrials.source import clinicaltrials

    return clinicaltrials(**settings.model_dump())


def _replay() -> Adapter:
    from penstock.adapters.clinicaltrials.source import clinicaltrials

    return clinicaltrials()


entry = AdapterEntry(
    name="clinicaltrials",
    description="Studies of ClinicalTrials.gov, by query.",
    inputs=None,
    settings=ClinicalTrialsSettings,
    build=_build,
    replay=_replay,
    proof="captured",
    licence="Public, under the terms of ClinicalTrials.gov: name it and the day of the data, and do not "
    "suggest that it endorses you.",
    limits="About 50 requests a minute; at most 1,000 studies in a request.",
    homepage="https://clinicaltrials.gov/data-api/api",
)
