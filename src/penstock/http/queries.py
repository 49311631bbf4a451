"""The parameters in the URLs of requests, as models."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Query(BaseModel):
    """The base of all queries."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class RunsQuery(Query):
    """Which runs to list."""

    pipeline: str | None = None
    """Only runs of this pipeline."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    """So many at the most, the newest."""


class EventsQuery(Query):
    """Which events to send, and from which on."""

    types: str | None = None
    """Only events of these types, joined by commas."""
    after: Annotated[int, Field(ge=0, lt=10**15)] | None = None
    """Begin behind the event of this number. `Last-Event-ID` goes before it."""
    tail: Annotated[int, Field(ge=0, lt=10**15)] | None = None
    """Begin with the last so many events; 0 sends only new ones."""


class StreamQuery(Query):
    """Which events to send."""

    types: str | None = None
    """Only events of these types, joined by commas."""


class LettersQuery(Query):
    """Which dead letters to show."""

    skip: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Leave out so many of the newest."""
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    """So many at the most."""
    raw: bool = False
    """Whether to show the raw bytes of the records too, in base64."""
