"""A restart that a kill leaves either not begun, or noted: then the next run goes on with it.

A restart empties the sink and lets the ledger forget. A kill in between would leave a ledger that counts on
an output which is empty. So the ledger first notes that the restart has begun, in place of the sink's record.
The note is gone once the ledger has forgotten everything else.

None of this happens before the first record of the restart has arrived. So a restart with an input that
cannot be read leaves the sink and the ledger as they were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.abc import Commit
from penstock.errors import SinkMismatch

if TYPE_CHECKING:
    from penstock.abc import Ledger, Opened, Sink

NOT_BEGUN: Final = "penstock: the restart had not begun: what it would have emptied is unchanged"
"""The note of an error that ended a restart before its first record."""

_FORMAT = "restart"


async def note_restart(ledger: Ledger, key: str, opened: Opened, sink: Sink) -> None:
    """Note durably that ``sink`` will be emptied; what the ledger knows stays for now."""
    record = {"format": _FORMAT, "output": sink.describe()}
    # An interrupted run into a database may have left the next epoch pending. It stays until then.
    note = Commit(opened.epoch + 2, opened.position or {}, counts=opened.counts, record=record)
    await ledger.pending(key, note)
    await ledger.confirm(key, note.epoch)


def restart_begun(opened: Opened, sink: Sink) -> bool:
    """Return whether a restart of ``sink`` was interrupted.

    Raises:
        SinkMismatch: the interrupted restart had another output.
    """
    record = opened.record
    if not isinstance(record, dict) or record.get("format") != _FORMAT:
        return False
    if record.get("output") != sink.describe():
        raise SinkMismatch(
            f"a restart into {record.get('output')} was interrupted: name that output again to go on, "
            "or begin anew in this one with restart=True (--restart)"
        )
    return True
