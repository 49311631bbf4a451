"""Turns one study of the API into a `Document`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from penstock.adapters.clinicaltrials.columns import StudyColumns
from penstock.adapters.json_records import document_of, snake_keys, take_fields, take_text
from penstock.errors import DocumentError

if TYPE_CHECKING:
    from penstock.document import Document, RawRecord

SOURCE = "clinicaltrials"
_NCT = re.compile(r"NCT\d{8}", re.ASCII)
_OLD = ("FullStudiesResponse", "StudyFieldsResponse", "Study", "ProtocolSection")


def study_ids(study: dict[str, Any], key: str) -> tuple[str, str]:
    """Return the NCT number and the version of a study: the day of its last update, or ``""``.

    Raises:
        DocumentError: it has no NCT number, or is a study of version 1 of the API.
    """
    old = next((name for name in _OLD if name in study), None)
    if old:
        raise DocumentError(
            f"record {key} is from version 1 of the API ({old}), which ended in June 2024: fetch it again"
        )
    protocol = study.get("protocolSection")
    protocol = protocol if isinstance(protocol, dict) else {}
    nct = _text(protocol, "identificationModule", "nctId").strip().upper()
    if not _NCT.fullmatch(nct):
        raise DocumentError(f"record {key} has no NCT number: {nct[:40]!r}")
    version = _text(protocol, "statusModule", "lastUpdateSubmitDate") or _text(
        protocol, "statusModule", "lastUpdatePostDateStruct", "date"
    )
    return nct, version.strip()


def _text(value: Any, *names: str) -> str:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def study_record_id(nct: str) -> str:
    """Return ``clinicaltrials:NCT<digits>``: the id of all versions of a study."""
    return f"clinicaltrials:{nct}"


def read_study(study: dict[str, Any], raw: RawRecord) -> Document:
    """Return the document of a study.

    The title is the brief title. The content is the brief summary, then the detailed description.

    Raises:
        DocumentError: it has no NCT number, or is a study of version 1 of the API.
    """
    nct, version = study_ids(study, raw.key)
    record = snake_keys(study)
    take_text(record, "protocol_section.identification_module.nct_id")
    title = take_text(record, "protocol_section.identification_module.brief_title")
    texts = (
        take_text(record, "protocol_section.description_module.brief_summary"),
        take_text(record, "protocol_section.description_module.detailed_description"),
    )
    metadata = {"nct_id": nct, **take_fields(record, StudyColumns)}
    return document_of(
        raw.data,
        source=SOURCE,
        record_id=study_record_id(nct),
        version=version,
        title=title or str(metadata.get("official_title", "")),
        content="\n\n".join(filter(None, texts)),
        metadata=metadata,
        extra=record,
    )
