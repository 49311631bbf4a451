"""The node of the parse stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.runtime.node import Node, node
from penstock.system.processes import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.abc import Source
    from penstock.adapters.parsing.stage import ParsingStage
    from penstock.document import Document
    from penstock.documents.settings import Compare
    from penstock.runtime.node import Site

CHUNK = 64
"""Records that travel together, at most."""

CHUNKS_PER_PROCESS = 4
"""Two are at a process, one being parsed and one waiting there; two are parsed and wait for their turn."""

MOST_PROCESSES = 8
"""More are not started by default: reading and committing take about an eighth of all work."""


@dataclass(frozen=True, slots=True)
class Crew:
    """How many processes parse. If ``waits``, none starts before the input turns out to be large enough."""

    processes: int
    waits: bool


def crew_for(processes: int | None, *, apart: bool = False) -> Crew | None:
    """Return the crew for the argument ``processes``; ``None`` if this process parses.

    If ``apart``, this process parses nothing: a record may kill the process that parses it.
    """
    if processes is None:
        cores = min(usable_cores(), MOST_PROCESSES)
        return Crew(cores, waits=not apart) if cores > 1 or apart else None
    if apart:
        return Crew(processes, waits=False)
    return Crew(processes, waits=False) if processes > 1 else None


@node
class Parsing(Node):
    """Records are parsed by other processes, in order.

    It holds no more than ``window`` records that were fetched and not handed on.
    """

    operator = "parse"

    source: Source
    crew: Crew
    encode: Callable[[Document], bytes] | None = None
    compare: Compare | None = None

    @property
    def window(self) -> int:
        """How many records may be fetched and not handed on."""
        return CHUNK * CHUNKS_PER_PROCESS * self.crew.processes

    def bound(self, n: int) -> float:
        """Return M_up(window) + n."""
        return self.inputs[0].bound(self.window) + n

    def start(self, site: Site) -> ParsingStage:
        """Start the stage."""
        from penstock.adapters.parsing.stage import ParsingStage

        return ParsingStage(site, self)

    @property
    def parameters(self) -> dict[str, Any]:
        """The number of processes."""
        return {"processes": self.crew.processes}
