"""Options: the types that several commands share, and the options of every ``penstock ingest``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number

__all__ = ["GRACE", "AtLeastOne", "Flag", "Outputs", "RunOptions", "Seconds", "Switch"]

AtLeastOne = Annotated[int, Parameter(validator=Number(gte=1))]
Outputs = Annotated[list[str], Parameter(negative="")]
Seconds = Annotated[float, Parameter(validator=Number(gte=0))]
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Switch = Annotated[bool, Parameter(show_default=False)]

GRACE: Final = 10.0
"""Seconds that the first signal leaves for documents in flight."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How ``penstock ingest`` runs. The docstring of a field is its help text, and stays on one line."""

    key: str | None = None
    """The name of this ingestion, if the ledger keeps several. Each needs its own outputs."""
    limit: AtLeastOne | None = None
    """Stop after this many documents."""
    grace: Seconds = GRACE
    """After Ctrl-C, wait this many seconds for documents in flight. The next run repeats the others."""
    restart: Flag = False
    """Forget the state, empty the output and start from the beginning."""
    refresh: Flag = False
    """Read all files again from the beginning. Take documents that are new or have changed."""
    fail_fast: Flag = False
    """Stop at the first document that fails."""
    progress: Switch = True
    """Show progress on stderr."""
    events: Flag = False
    """Print every event as a line of JSON on stdout. The receipt then goes to stderr."""
    debug: Flag = False
    """Show tracebacks."""
