"""Types of options that several commands share, and the options of every ``penstock ingest``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

AtLeastOne = Annotated[int, Parameter(validator=Number(gte=1))]
Outputs = Annotated[list[str], Parameter(negative="")]
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Json = Annotated[
    bool, Parameter(name="--json", negative="", show_default=False, help="Print one JSON object a line.")
]
Progress = Annotated[bool, Parameter(show_default=False, help="Show progress on stderr.")]
Quiet = Annotated[
    bool, Parameter(negative="", show_default=False, help="Print only errors and warnings, on stderr.")
]
Debug = Annotated[bool, Parameter(negative="", show_default=False, help="Show tracebacks.")]
Key = Annotated[str | None, Parameter(help="Which ingestion, if the ledger keeps several: its name.")]
LedgerOrOutput = Annotated[
    str, Parameter(help="The output of the ingestion, its ledger, or its pipeline file.")
]


Sets = Annotated[
    list[str] | None,
    Parameter(
        name="--set",
        negative="",
        help="KEY=VALUE: use this value in place of the one in the pipeline file, as in "
        "--set retry.attempts=5. Repeat it for more keys.",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is written of which documents. The docstring of a field is its help text, on one line."""

    columns: str | None = None
    """Write only these columns, joined by commas: doc_id,year,mesh. The default is all."""
    where: str | None = None
    """Leave out other documents: 'year >= 2015 and "Neoplasms" in mesh'. They count as skipped."""
    raw: Flag = False
    """Write the raw bytes of each record too."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions(Selection):
    """How ``penstock ingest`` runs. The docstring of a field is its help text, and stays on one line."""

    key: str | None = None
    """The name of this ingestion, if the ledger keeps several. Each needs its own outputs."""
    limit: AtLeastOne | None = None
    """Stop after this many documents."""
    grace: Annotated[float, Parameter(validator=Number(gte=0))] = 10.0
    """After Ctrl-C, wait this many seconds for documents in flight. The next run repeats the others."""
    restart: Flag = False
    """Forget the state, empty the output and start from the beginning."""
    refresh: Flag = False
    """Read all files again from the beginning. Take documents that are new or have changed."""
    fail_fast: Flag = False
    """Stop at the first document that fails."""
    progress: Progress = True
    quiet: Quiet = False
    events: Flag = False
    """Print every event as a line of JSON on stdout. The receipt then goes to stderr."""
    debug: Debug = False
