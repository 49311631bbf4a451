"""The answers of the server, as models: they are the schemas of the OpenAPI document too."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["running", "stopping", "completed", "failed", "cancelled", "interrupted"]
Kind = Literal["run", "stream"]
ENDED = frozenset({"completed", "failed", "cancelled", "interrupted"})


class View(BaseModel):
    """The base of all answers."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Start(View):
    """What to start."""

    pipeline: str = Field(min_length=1, max_length=200, examples=["articles"])
    """The name of a pipeline; `GET /v1/pipelines` lists them."""


class PipelineView(View):
    """A pipeline that can be started."""

    name: str
    adapter: str
    outputs: list[str]
    can_run: bool
    """False if it writes to standard output: such a pipeline can only be streamed."""
    active_run: str | None
    """The id of the run that is going, if there is one."""


class PipelineList(View):
    """All pipelines, by name."""

    pipelines: list[PipelineView]


class EventRange(View):
    """The numbers of the events that are kept; `last` is 0 if there is none."""

    first: int
    last: int


class Counts(View):
    """What happened to documents in this run, since it was started or resumed the last time."""

    started: int = 0
    completed: int = 0
    failed: int = 0
    skipped: int = 0
    retried: int = 0


class Progress(View):
    """The totals of the logical run, from the last `BatchProgress`."""

    timestamp: float
    completed: int
    failed: int
    skipped: int
    in_flight: int
    estimated_total: int | None
    rate: float
    """Documents a second."""
    eta_seconds: float | None


class Problem(View):
    """A problem document (RFC 9457); further members are possible."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None


class RunView(View):
    """A run, without its graph."""

    id: str
    pipeline: str
    kind: Kind
    """`stream` is bound to the connection that started it."""
    state: State
    reason: str | None
    """Why it ended, or what is wrong with it."""
    created_at: float
    """Unix seconds."""
    started_at: float | None
    ended_at: float | None
    restarts: int
    """How often the server has resumed it."""
    events: EventRange
    counts: Counts
    progress: Progress | None


class Figures(View):
    """What a stage did within the last seconds."""

    seconds: float
    """The length of the time that the other figures are about."""
    requested: int
    """Items that were requested of it: the demand."""
    delivered: int
    rate: float
    """Items delivered a second."""
    busy: float
    """The part of the time in which this stage alone worked, or waited for its input: 0 to 1."""


class NodeView(View):
    """A stage of the graph. The last one is the output, which requests and writes."""

    key: int
    name: str
    requested: int
    """Items requested so far."""
    delivered: int
    requests: int
    buffered: int
    """Items that are ready for later requests."""
    dropped: int
    busy_seconds: float
    """Time in this stage alone."""
    waiting_seconds: float
    """Time inside its requests: its own, and that of everything before it."""
    idle_seconds: float
    """Time in which nothing was requested of it."""
    now: Figures | None
    """The last seconds; null if the run is over."""


class EdgeView(View):
    """Items go from one stage to another; demand goes the other way."""

    source: int
    target: int


class GraphView(View):
    """The stages of a run, from the source to the output. Empty before it begins, and after a restart."""

    nodes: list[NodeView]
    edges: list[EdgeView]
    waits_for: int | None
    """The key of the stage that the run waits for most, in the last seconds."""
    bottleneck: str | None
    """A sentence about the whole run."""


class Failure(View):
    """A document that failed, or an attempt at it."""

    event: int
    """The number of the event."""
    timestamp: float
    doc_id: str | None
    adapter: str
    error_type: str
    error: str
    retry_count: int
    will_retry: bool


class RunDetail(RunView):
    """A run with its graph."""

    graph: GraphView
    errors: list[Failure]
    """The last ones, oldest first."""
    dead_letters: int | None
    """Dead letters of the pipeline, of this run and of earlier ones; null if it keeps no ledger."""
    summary: dict[str, Any] | None
    """The outcome of a run that has ended: `counts` of the logical run, `duration`, `warning` and more."""


class RunList(View):
    """The newest runs first."""

    runs: list[RunView]


class LetterView(View):
    """A dead letter: a document that failed for good."""

    key: str
    """The record: `file#number`."""
    doc_id: str | None
    adapter: str
    error_type: str
    error: str
    traceback: str | None
    context: dict[str, Any]
    attempts: int
    timestamp: float
    bytes: int
    """The size of the raw record."""
    raw: str | None = None
    """The raw record in base64, if it was asked for."""


class LetterPage(View):
    """A page of dead letters, the newest first."""

    letters: list[LetterView]
    total: int
    next: int | None
    """The `skip` of the next page; null if this is the last one."""


class Health(View):
    """The server works."""

    status: Literal["ok"]
