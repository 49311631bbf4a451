"""What is wrong with a pipeline file: every mistake with its key, and the line where it stands."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.errors import GraphError


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake of a file."""

    place: str
    """``pipeline.toml:12``, ``pipeline.toml`` for the whole file, or ``--set`` for an override."""
    key: str
    """The dotted path of the key, such as ``retry.attempts`` or ``to[1]``; ``""`` for the whole file."""
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class PipelineFileError(GraphError):
    """A pipeline file cannot be used. ``mistakes`` has all of its mistakes; the message has one a line."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes


def dotted(path: tuple[str | int, ...]) -> str:
    """Return a path as people write it: ``to[1]``, ``source.settings.processes``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
