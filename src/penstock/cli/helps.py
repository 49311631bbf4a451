"""What ``--help`` says first about each command: what it does, what to know before, and an example."""

from __future__ import annotations

from typing import Final


def _paragraphs(text: str) -> str:
    """Join the lines of each paragraph: the help of a terminal breaks them where its width asks for it."""
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))


PENSTOCK: Final = "Move documents from any source to any sink:\nstreaming, resumable, in constant memory."

INGEST: Final = _paragraphs("""
Read documents from a source and write them into a file or a database.

Example: penstock ingest pubmed '*.xml.gz' --to articles.jsonl
""")
RUN: Final = _paragraphs("""
Run the pipeline of a file, or one in Python.

After an interruption, the same command continues at the last commit.

Example: penstock run pipeline.toml
""")
SERVE: Final = _paragraphs("""
Serve pipelines over HTTP: start, watch and stop them, and read their events.

Example: penstock serve pipeline.toml --port 8765
""")
INIT: Final = _paragraphs("""
Write a commented pipeline file, and a sample that it reads. Nothing is overwritten.

Example: penstock init pipeline.toml
""")
DEMO: Final = _paragraphs("""
Try Penstock: make a file of sample records, and ingest it.

It needs no network and no files of yours. Press Ctrl-C, then run it again: it continues, and the output has
the same bytes as without the break.

Example: penstock demo --records 3000
""")
STATUS: Final = _paragraphs("""
Show how far an ingestion is: its runs, how many documents are done, and which ones failed.

You can call it while a run is going.

Example: penstock status articles.jsonl
""")
EVENTS: Final = _paragraphs("""
Show the events of a recorded run, one on each line.

Example: penstock events run.ndjson --type DocumentFailed --follow
""")
GRAPH: Final = _paragraphs("""
Show what a pipeline does, step by step, as a text or a picture. Nothing is opened.

Example: penstock graph pipeline.toml --format svg > graph.svg
""")
ADAPTERS: Final = "List the adapters: what penstock ingest can read."
SCHEMA: Final = _paragraphs("""
Print the JSON Schema of pipeline files, with the settings of all adapters, for editors.

Example: penstock schema > penstock.schema.json
""")
DOCTOR: Final = _paragraphs("""
Check whether runs can work here: versions of libraries, limits of this machine, and whether a folder keeps
what is written to it.

Each line begins with ok, note or BAD. A note is something to know. With a BAD, runs would fail, and the exit
code is 2.

Example: penstock doctor articles/
""")
COMPLETION: Final = _paragraphs("""
Print a script that lets your shell complete the words of penstock when you press Tab.

Example: eval "$(penstock completion bash)"
""")
DEAD: Final = _paragraphs("""
See the documents that failed, and try them again.

A document that failed for good is kept in the ledger as a dead letter: its error and its raw bytes.

Example: penstock dead list articles.jsonl
""")
