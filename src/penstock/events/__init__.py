"""The five events of a running pipeline, and their wire form."""

from __future__ import annotations

from penstock.events.event import (
    EVENTS,
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    DocumentStarted,
    PipelineEvent,
)
from penstock.events.wire import SCHEMA_VERSION, decode, encode, encode_all, json_schema, type_adapter

__all__ = [
    "EVENTS",
    "SCHEMA_VERSION",
    "AdapterStateChange",
    "BatchProgress",
    "DocumentCompleted",
    "DocumentFailed",
    "DocumentStarted",
    "PipelineEvent",
    "decode",
    "encode",
    "encode_all",
    "json_schema",
    "type_adapter",
]
