"""The commands and their options, for cyclopts to read: the signatures are the command line."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from penstock.cli.demo import FOLDER, RECORDS
from penstock.cli.job import GRACE, Job, default_ledger, place_of
from penstock.cli.outputs import output_of

__all__ = ["app"]

AtLeastOne = Annotated[int, Parameter(validator=Number(gte=1))]
Words = Annotated[list[str], Parameter(negative="")]
Seconds = Annotated[float, Parameter(validator=Number(gte=0))]
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Switch = Annotated[bool, Parameter(show_default=False)]


def version_line() -> str:
    """Return ``penstock 1.2.3``."""
    return f"penstock {version('penstock')}"


app = App(
    name="penstock",
    help="Move documents from any source to any sink:\nstreaming, resumable, in constant memory.",
    help_format="plaintext",
    version=version_line,
)
dead_app = App(
    name="dead", help="Documents that failed for good: look, try again, drop.", help_format="plaintext"
)
app.command(dead_app)
ingest_app = App(
    name="ingest", help="Bring documents from a source into a file or a database.", help_format="plaintext"
)
app.command(ingest_app)


@ingest_app.command(usage="Usage: penstock ingest pubmed FILES... --to OUT.jsonl [OPTIONS]\n")
def pubmed(
    *files: str,
    to: Words,
    ledger: str | None = None,
    key: str | None = None,
    limit: AtLeastOne | None = None,
    processes: AtLeastOne = 1,
    grace: Seconds = GRACE,
    restart: Flag = False,
    refresh: Flag = False,
    fail_fast: Flag = False,
    max_record_bytes: AtLeastOne | None = None,
    max_ratio: AtLeastOne | None = None,
    max_unpacked_bytes: AtLeastOne | None = None,
    progress: Switch = True,
    events: Flag = False,
    debug: Flag = False,
) -> int:
    """Bring PubMed XML files into a file or a database.

    Interrupted in any way, the same command goes on at the last commit.
    After completion it takes only what is new: more files; with --refresh what has changed, too.

    Args:
        files: PubMed XML (baseline, update or efetch), gzipped or not; patterns like '*.xml.gz' too.
        to: Where to write: a file (.jsonl, .jsonl.gz, .jsonl.zst, .parquet) or the URL of a table
            (sqlite:///out.db?table=articles, duckdb:///..., postgresql://...); several times for several.
        ledger: Where to keep what was done: a file, or postgresql://...; beside the output by default.
        key: What the ledger calls this ingestion, if it keeps several; each has outputs of its own.
        limit: Stop after so many documents.
        processes: Parse files in so many processes; the order of documents is then free.
        grace: After Ctrl-C, wait so many seconds for what is in flight; what is cut then comes again.
        restart: Forget what was done, empty the output and begin again.
        refresh: Read the files from the beginning again, and take what has changed in them or is new.
        fail_fast: End at the first document that fails.
        max_record_bytes: Let a larger record fail, instead of holding it in memory; 64 MiB by default.
        max_ratio: Refuse a gzip file that unpacks to more than so many times its bytes; 200 by default.
        max_unpacked_bytes: Refuse a gzip file that unpacks to more bytes; 100 GiB by default.
        progress: Show how it goes, on stderr.
        events: Print every event as a line of JSON on stdout; what is for people goes to stderr.
        debug: Show tracebacks.
    """
    from penstock.cli.ingest import ingest

    outputs = [output_of(word) for word in to]
    return ingest(
        Job(
            adapter="pubmed",
            files=files,
            to=outputs[0],
            also=tuple(outputs[1:]),
            ledger=place_of(ledger) if ledger else default_ledger(outputs[0]),
            key=key or None,
            limit=limit,
            progress=progress,
            events=events,
            restart=restart,
            refresh=refresh,
            fail_fast=fail_fast,
            processes=processes,
            max_record_bytes=max_record_bytes,
            max_ratio=max_ratio,
            max_unpacked_bytes=max_unpacked_bytes,
            grace=grace,
            debug=debug,
        )
    )


@app.command
def demo(
    *,
    records: AtLeastOne = RECORDS,
    folder: Path = Path(FOLDER),
    restart: Flag = False,
    progress: Switch = True,
    debug: Flag = False,
) -> int:
    """Make sample data in the shape of a PubMed file and ingest it, to see how it goes.

    Kill it in the middle and give the same command again: the output ends the same, byte for byte.

    Args:
        records: How many records to make up.
        folder: Where to put the sample, the output and the ledger.
        restart: Begin again.
        progress: Show how it goes, on stderr.
        debug: Show tracebacks.
    """
    from penstock.cli.demo import run_demo

    return run_demo(folder, records=records, restart=restart, progress=progress, debug=debug)


@app.command
def status(ledger_or_output: str, /, *, failures: AtLeastOne = 10, debug: Flag = False) -> int:
    """Show where an ingestion stands: its runs, counts per state, and what failed.

    Works while a run is going, and disturbs nothing.

    Args:
        ledger_or_output: A ledger, or the output that one lies beside.
        failures: Show so many of the latest failed documents.
        debug: Show tracebacks.
    """
    del debug  # read from the command line by cli/main.py, for every command alike
    from penstock.cli.status import show_status

    return show_status(ledger_or_output, failures=failures)


@app.command
def doctor(folder: Path = Path(), /, *, debug: Flag = False) -> int:
    """Look whether this machine can be relied on: versions, what they imply, and whether files are kept.

    Ends with 2 if something would make runs fail; a note is no failure.

    Args:
        folder: Where outputs and ledgers are to go; it is written to, and left as it was.
        debug: Show tracebacks.
    """
    del debug  # read from the command line by cli/main.py, for every command alike
    from penstock.cli.doctor import examine

    return examine(folder)


@dead_app.command(name="list", usage="Usage: penstock dead list LEDGER_OR_OUTPUT [OPTIONS]\n")
def dead_list(
    ledger_or_output: str,
    /,
    *,
    key: str | None = None,
    latest: AtLeastOne = 100,
    json: Flag = False,
    debug: Flag = False,
) -> int:
    """List the dead letters: the record, the document, the error.

    Works while a run is going, and disturbs nothing.

    Args:
        ledger_or_output: A ledger, or the output that one lies beside.
        key: Which ingestion of the ledger, if it has several.
        latest: Show so many of the latest, the oldest of them first.
        json: One JSON object a line, for programs.
        debug: Show tracebacks.
    """
    del debug
    from penstock.cli.dead import list_letters

    return list_letters(ledger_or_output, key=key, latest=latest, as_json=json)


@dead_app.command(name="show", usage="Usage: penstock dead show LEDGER_OR_OUTPUT RECORD [OPTIONS]\n")
def dead_show(
    ledger_or_output: str,
    record: str,
    /,
    *,
    key: str | None = None,
    raw: Flag = False,
    debug: Flag = False,
) -> int:
    """Show one dead letter whole: its error, its traceback, its bytes.

    Args:
        ledger_or_output: A ledger, or the output that one lies beside.
        record: The record, as the list names it (file#number).
        key: Which ingestion of the ledger, if it has several.
        raw: Write the bytes of the record to stdout as they are, and nothing else.
        debug: Show tracebacks.
    """
    del debug
    from penstock.cli.dead import show_letter

    return show_letter(ledger_or_output, record, key=key, raw=raw)


@dead_app.command(name="replay", usage="Usage: penstock dead replay OUTPUT [RECORDS...] [OPTIONS]\n")
def dead_replay(
    output: str,
    /,
    *records: str,
    to: Words | None = None,
    ledger: str | None = None,
    key: str | None = None,
    debug: Flag = False,
) -> int:
    """Try dead letters again with today's parser, without fetching anything.

    What succeeds goes into the output and out of the dead letters; what fails again stays.

    Args:
        output: The output that the documents are missing from.
        records: Only these records; all by default.
        to: Further outputs of the same ingestion.
        ledger: Where the letters are; beside the output by default.
        key: Which ingestion of the ledger, if it has several.
        debug: Show tracebacks.
    """
    del debug
    from penstock.cli.dead import replay_letters

    outputs = [output_of(word) for word in (output, *(to or ()))]
    return replay_letters(outputs, records, ledger=place_of(ledger) if ledger else None, key=key)


@dead_app.command(
    name="drop", usage="Usage: penstock dead drop LEDGER_OR_OUTPUT (RECORDS... | --all) [OPTIONS]\n"
)
def dead_drop(
    ledger_or_output: str,
    /,
    *records: str,
    all: Flag = False,  # noqa: A002  the word of the command line
    key: str | None = None,
    debug: Flag = False,
) -> int:
    """Remove dead letters for good, with their bytes.

    Args:
        ledger_or_output: A ledger, or the output that one lies beside.
        records: The records, as the list names them.
        all: All of them.
        key: Which ingestion of the ledger, if it has several.
        debug: Show tracebacks.
    """
    del debug
    from penstock.cli.dead import drop_letters

    return drop_letters(ledger_or_output, records, key=key, everything=all)
