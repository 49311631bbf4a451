"""What the type checkers must infer about events; checked, never run."""

from __future__ import annotations

from typing import Any, assert_type

from pydantic import TypeAdapter

from penstock.document import Document
from penstock.events import (
    DocumentCompleted,
    DocumentFailed,
    PipelineEvent,
    decode,
    encode,
    encode_all,
    json_schema,
    type_adapter,
)


def wire(line: bytes, several: list[DocumentFailed]) -> None:
    event = decode(line)
    assert_type(event, PipelineEvent)
    assert_type(encode(event), bytes)
    assert_type(encode_all(several), bytes)
    assert_type(type_adapter(), TypeAdapter[PipelineEvent])
    assert_type(json_schema(), dict[str, Any])


def narrowed(event: PipelineEvent) -> None:
    match event:
        case DocumentCompleted(document=document):
            assert_type(document, Document)
        case DocumentFailed(doc_id=doc_id):
            assert_type(doc_id, str | None)
        case _:
            assert_type(event, PipelineEvent)
