"""What the registry knows about ``pubmed``. It imports the parser only when an adapter is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from penstock.adapters.registry import AdapterEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.adapters.event_flow import Adapter


class PubMedSettings(BaseModel):
    """Settings of ``pubmed``: the fields are its keyword arguments of the same name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    processes: int | None = Field(
        default=None,
        ge=1,
        description="Parse in this many processes. By default as many as there are processors, if the input "
        "is large enough; 1 parses in this process. The output is the same.",
    )
    max_record_bytes: int | None = Field(
        default=None,
        ge=1,
        description="A larger record fails and is not held in memory. Default: 16 MiB (64 for deletions).",
    )
    max_ratio: int | None = Field(
        default=None,
        ge=1,
        description="Refuse a gzip file that unpacks to more than N times its size. The default is 200.",
    )
    max_unpacked_bytes: int | None = Field(
        default=None,
        ge=1,
        description="Refuse a gzip file that unpacks to more bytes than this. The default is 100 GiB.",
    )
    on_bad_file: Literal["stop", "skip"] = Field(
        default="stop",
        description="Skip a file that cannot be read, as one failed document, or stop the run.",
    )


def _build(inputs: Sequence[str], settings: PubMedSettings) -> Adapter:
    from penstock.adapters import pubmed

    return pubmed(*inputs, **settings.model_dump())


def _replay() -> Adapter:
    from penstock.adapters import pubmed

    return pubmed("dead letters")  # the path is never opened


entry = AdapterEntry(
    name="pubmed",
    description="Citations from PubMed XML files or MEDLINE text.",
    inputs="PubMed XML or MEDLINE files, gzipped or not, archives of them, patterns like '*.xml.gz', or -.",
    settings=PubMedSettings,
    build=_build,
    replay=_replay,
    proof="captured",
    licence="NLM's terms for MEDLINE/PubMed data: name NLM as the source; abstracts may be under copyright.",
    homepage="https://www.nlm.nih.gov/databases/download/pubmed_medline.html",
)
