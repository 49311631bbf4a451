"""The pipeline file that equals the options of ``penstock ingest``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.cli.outputs import names_in
from penstock.pipeline_file import to_toml
from penstock.pipeline_file.places import ledger_beside, shown, shown_place

if TYPE_CHECKING:
    from penstock.cli.job import Job


def as_file(job: Job) -> str:
    """Return the file that describes ``job``, with paths as seen from the working directory.

    Passwords in URLs, and settings that are secrets, are left out. So are the options that ``penstock run``
    has too, but ``--limit``.
    """
    options, default = job.options, type(job.options)()
    outputs = [shown(output) for output in job.outputs]
    document: dict[str, Any] = {
        "to": outputs if len(outputs) > 1 else outputs[0],
        "columns": None if options.columns is None else names_in(options.columns),
        "raw": options.raw or None,
        "where": options.where,
        "ledger": _ledger(job),
        "key": options.key or None,
        "limit": options.limit,
        "grace": options.grace if options.grace != default.grace else None,
        "fail_fast": options.fail_fast or None,
        "source": {"adapter": job.adapter.name, "inputs": list(job.files) or None},
    }
    if settings := job.given_settings():
        document["source"]["settings"] = settings
    return to_toml(document)


def _ledger(job: Job) -> str | None:
    return None if job.ledger == ledger_beside(job.outputs) else shown_place(job.ledger)
