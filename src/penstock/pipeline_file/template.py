"""The file that ``penstock init`` writes."""

from __future__ import annotations

from typing import Final

TEMPLATE: Final = """\
# A pipeline of Penstock. Run it:     penstock run FILE
# Check it, or see what it would do:  penstock run FILE --dry-run, --explain
#
# Relative paths begin at the folder of this file. A text may contain ${{NAME}} or ${{NAME:-default}}:
# the value of an environment variable, for passwords and places.

# Where documents go: files, tables ("sqlite:///articles.db?table=articles"), or "-" for standard output.
# A list writes to several.
to = "articles.jsonl"

# Which documents, and which columns of them. Without these lines: all.
where = "year >= 2000"
columns = ["doc_id", "title", "journal", "year"]

# Your own functions, one after the other, each called with a document. They return it or a replacement.
# "steps:clean" is the function clean of steps.py beside this file.
# process = ["steps:clean"]
# concurrency = 4

# Where the state is kept, so that a run that was interrupted can continue. By default beside the output.
# ledger = "articles.ledger.db"
# key = "articles"

# limit = 100               # stop after so many documents
# grace = 10.0              # seconds that Ctrl-C leaves for documents in flight
# checkpoint_every = 1000   # documents from one commit to the next
# progress_every = 100      # documents from one report of progress to the next
# fail_fast = true          # stop at the first document that fails

[source]
adapter = "pubmed"          # "penstock adapters" lists the adapters
inputs = ["{sample}"]   # files and patterns, such as "pubmed26n*.xml.gz"

[source.settings]           # "penstock ingest pubmed --help" describes them
processes = 1

[retry]                     # documents, and the source, after an error that may pass
attempts = 3
# retry_on = ["builtins:OSError", "steps:Busy"]   # by default lost connections and timeouts
"""
