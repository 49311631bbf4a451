"""The keys of a pipeline file, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

IMPORT_PATH = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _named(value: object) -> object:
    return {"function": value} if isinstance(value, str) else value


def _not_bool(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "must be a number")
    return value


def _only_false(value: object) -> object:
    if value is not False:
        raise PydanticCustomError("literal_error", "must be false", {"expected": "false"})
    return value


Off = Annotated[Literal[False], BeforeValidator(_only_false)]
"""``false``, and not 0."""
Whole = Annotated[int, BeforeValidator(_not_bool)]
Number = Annotated[float, BeforeValidator(_not_bool)]


Texts = Annotated[list[str], BeforeValidator(_listed, json_schema_input_type=str | list[str])]
_ImportPath = Annotated[str, Field(pattern=IMPORT_PATH)]
_Kinds = _ImportPath | list[_ImportPath]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class SourceTable(_Table):
    """Where documents come from."""

    adapter: str = Field(min_length=1)
    """The name of an adapter; `penstock adapters` lists them."""
    inputs: Texts = []
    """Files and patterns, relative to this file."""
    settings: dict[str, Any] = {}
    """The settings of the adapter; `penstock ingest NAME --help` describes them."""


class StepTable(_Table):
    """A processing step, and the keyword arguments that it gets."""

    function: str = Field(pattern=IMPORT_PATH)
    """`package.module:function`: takes a document, returns it or a replacement. It may be async."""
    arguments: dict[str, Any] = {}
    """Keyword arguments of the function, besides the document."""


_Step = Annotated[StepTable, BeforeValidator(_named, json_schema_input_type=_ImportPath | StepTable)]


class RetryTable(_Table):
    """How often to try a document, or the source, again after an error that may pass."""

    attempts: Whole = Field(default=3, ge=1)
    """The most attempts, the first included; 1 never tries again."""
    initial: Number = Field(default=0.1, ge=0)
    """Seconds; the first wait is at most this."""
    factor: Number = Field(default=2.0, ge=1)
    """The limit of each further wait grows by this factor."""
    cap: Number = Field(default=30.0, ge=0)
    """Seconds; no wait is longer."""
    jitter: bool = True
    """Whether waits are random; otherwise each wait is as long as its limit."""
    budget: Annotated[float, Field(ge=0), BeforeValidator(_not_bool)] | None = None
    """The most seconds from the first failure to the start of the last attempt."""
    retry_on: (
        Annotated[
            list[_ImportPath], Field(min_length=1), BeforeValidator(_listed, json_schema_input_type=_Kinds)
        ]
        | None
    ) = None
    """Which errors may pass: `package.module:Error`, several of these, or a function that judges an error.
    The default: lost connections, timeouts, and errors that are marked with `is_retryable`."""


class PipelineModel(_Table):
    """A pipeline of Penstock: a source, what happens to each document, and where documents go."""

    source: SourceTable
    """Where documents come from."""
    to: Texts = Field(min_length=1)
    """Outputs: files, or URLs of tables, or - for JSON Lines on standard output."""
    columns: list[str] | None = Field(default=None, min_length=1)
    """Write only these columns. The default is all."""
    raw: bool = False
    """Write the raw bytes of each record too."""
    where: str | StepTable | None = None
    """Leave out other documents: 'year >= 2015', or { function = "package.module:function" }."""
    process: list[_Step] = []
    """Steps for each document, in this order: "package.module:function"."""
    concurrency: Whole = Field(default=1, ge=1)
    """How many documents may be in the steps at once."""
    ledger: str | Off | None = None
    """Where to keep the state. The default is a file beside the first output; false keeps none."""
    key: str | None = Field(default=None, min_length=1)
    """The name of this pipeline in the ledger, if the ledger keeps several."""
    retry: RetryTable = RetryTable()
    """How often to try again after an error that may pass."""
    skip_completed: bool = True
    """Skip documents that an earlier run completed with the same content."""
    limit: Annotated[int, Field(ge=1), BeforeValidator(_not_bool)] | Off | None = None
    """Stop after this many documents; false sets no limit."""
    grace: Number = Field(default=10.0, ge=0)
    """Seconds that documents in flight get after a stop."""
    progress_every: Whole = Field(default=100, ge=1)
    """Documents from one report of progress to the next."""
    checkpoint_every: Whole = Field(default=1000, ge=1)
    """Documents from one commit to the next."""
    fail_fast: bool = False
    """Stop at the first document that fails."""
