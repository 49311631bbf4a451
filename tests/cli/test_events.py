"""``penstock events``: recordings shown, filtered and followed."""

from __future__ import annotations

import io
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from penstock.cli.events import in_words, recorded
from penstock.cli.main import main
from penstock.document import Document
from penstock.events import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    DocumentStarted,
    decode,
    encode_all,
)
from penstock.telemetry import Recorder

DOCUMENT = Document(doc_id="pubmed:1", source="pubmed")
EVENTS = [
    AdapterStateChange(0.0, "r", "pubmed", "new", "running"),
    DocumentStarted(1.0, "r", "pubmed:1", "pubmed"),
    DocumentFailed(1.5, "r", "pubmed:1", "pubmed", "busy", "OSError", will_retry=True),
    DocumentCompleted(2.0, "r", "pubmed:1", "pubmed", DOCUMENT, 0.0123, 1),
    DocumentFailed(2.5, "r", None, "pubmed", "not\n\x1b[31mXML", "ParseError"),
    BatchProgress(3.0, "r", 1, 1, 0, 0, None, 12.0, is_checkpoint=True),
    AdapterStateChange(4.0, "r", "pubmed", "running", "failed", "no more"),
]
WORDS = [
    "state      pubmed is running",
    "started    pubmed:1",
    "retrying   pubmed:1: OSError: busy",
    "completed  pubmed:1 in 12.3 ms, after 1 failed attempt",
    "failed     a record without an id: ParseError: not \\x1b[31mXML",
    "progress   1 completed, 1 failed, 0 skipped, 12 docs/s, checkpoint",
    "state      pubmed is failed: no more",
]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Return a recording whose last line a crash has torn."""
    path = tmp_path / "run.ndjson"
    path.write_bytes(encode_all(EVENTS) + b'{"type":"Docum')
    return path


def test_each_event_is_a_line_for_people(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line has the time, what happened and to what, without characters that control the terminal."""
    assert main(["events", str(recording)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[21:] for line in lines] == WORDS
    assert all(line == in_words(event) for line, event in zip(lines, EVENTS, strict=True))


@pytest.mark.parametrize("source", ["file", "stdin"])
def test_types_are_chosen_and_json_is_as_recorded(
    source: str, recording: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--type`` leaves out other events, and ``--json`` prints the lines of the recording, unchanged."""
    words = [str(recording)]
    if source == "stdin":
        words = ["-"]
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(recording.read_bytes())))
    chosen = ["--type", "DocumentFailed", "--type", "BatchProgress"]
    assert main(["events", *words, *chosen, "--json"]) == 0
    shown = capsys.readouterr().out.encode()
    assert shown == encode_all([EVENTS[2], EVENTS[4], EVENTS[5]])


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        (b"", ["--type", "Failed"], '"Failed"'),
        (b'{"a": 1}\n', [], "line 1, is no event of a recording"),
        (None, [], "no such file"),
    ],
)
def test_what_is_no_recording_is_refused(text, words, said, tmp_path, capsys) -> None:
    """A wrong type, a line that is no event and a file that is absent end with 2 and one sentence."""
    path = tmp_path / "x.ndjson"
    if text is not None:
        path.write_bytes(text)
    assert main(["events", str(path), *words]) == 2
    assert said in capsys.readouterr().err


def test_a_recording_is_followed_through_its_rotations(tmp_path: Path) -> None:
    """Every event is seen once and in order, also half lines, when files are renamed while they are read."""
    path = tmp_path / "run.ndjson"
    path.write_bytes(encode_all([DocumentStarted(0.0, "r", "0", "a")]))
    rotation = Recorder(path, keep=3)
    half: list[bytes] = []
    written = 1

    class Enough(Exception):
        """Ends the wait for events."""

    def wait(_: float) -> None:
        """Write the next event, in two halves if its number can be divided by 4, and rotate at each tenth."""
        nonlocal written
        if half:
            data = half.pop()
        elif written > 42:
            raise Enough
        else:
            data = encode_all([DocumentStarted(0.0, "r", str(written), "a")])
            if written % 10 == 0:
                rotation._shift()
            if written % 4 == 0:
                data, rest = data[:20], data[20:]
                half.append(rest)
            written += 1
        with path.open("ab") as file:
            file.write(data)

    seen: list[str] = []
    with suppress(Enough):
        seen.extend(decode(line).doc_id for line in recorded(path, follow=True, wait=wait))
    assert seen == [str(n) for n in range(written)]
    assert len(list(tmp_path.glob("run.ndjson.*"))) == 3
