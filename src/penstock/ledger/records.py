"""Convert positions, records, states and dead letters to columns and back, and check commits."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeAlias

from penstock.abc import DeadLetter, DocumentState
from penstock.errors import LedgerCorrupt, LedgerError, PositionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from penstock.abc import Commit

Corrupt: TypeAlias = "Callable[[str], LedgerCorrupt]"
"""Makes the error for a damaged ledger from what is wrong with it."""

KEPT_COMMITS = 8
"""How many of the latest commits a database keeps: a sink may have committed a little earlier."""

SETTLED = frozenset({"completed", "deleted"})
"""The statuses of content that was delivered and need not be delivered again."""

_STATUSES = SETTLED | {"failed"}


def to_json(value: Any, what: str) -> str:
    """Return ``value`` as JSON in ASCII, which keeps even a lone surrogate.

    Raises:
        PositionError: JSON cannot hold ``value``; the message begins with ``what``.
    """
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise PositionError(f"{what} cannot be stored as JSON: {error}") from error


def parse_json(text: str) -> Any:
    """Return the value of JSON that ``to_json`` wrote."""
    return json.loads(text)


def commit_texts(key: str, commit: Commit) -> tuple[str, str, str]:
    """Return position, record and counts of ``commit`` as JSON.

    Raises:
        PositionError: JSON cannot hold one of them.
    """
    return (
        to_json(commit.position, f"the position of {key!r}"),
        to_json(commit.record, f"the sink's record of {key!r}"),
        to_json(commit.counts, f"the counts of {key!r}"),
    )


def checksum(*fields: object) -> str:
    """Return a checksum of values and their types; it finds damage, not forgery."""
    return blake2b(repr(fields).encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()


def clean(text: str | None) -> str | None:
    """Return ``text`` with lone surrogates as escapes, because databases do not store them."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()


def pack_hash(content_hash: str) -> bytes | str:
    """Return a SHA-256 as bytes, in half the space; return any other text unchanged."""
    if len(content_hash) == 64:  # noqa: PLR2004 - hexadecimal digits of a SHA-256
        try:
            packed = bytes.fromhex(content_hash)
        except ValueError:
            return content_hash
        if packed.hex() == content_hash:
            return packed
    return content_hash


def unpack_hash(packed: bytes | str) -> str:
    """Undo ``pack_hash``."""
    return packed.hex() if isinstance(packed, bytes) else packed


def check_commit(
    key: str, epoch: int, *, last: int, pending: Sequence[int], states: Iterable[DocumentState]
) -> None:
    """Check that a commit may come next.

    Args:
        key: The ledger's key, for the message.
        epoch: The epoch of the commit.
        last: The last confirmed epoch.
        pending: The pending epochs that the commit would overtake, in order.
        states: The document states of the commit.

    Raises:
        LedgerError: ``epoch`` was committed before, or an epoch is pending.
        ValueError: a state has an unknown status.
    """
    if epoch <= last:
        raise LedgerError(
            f"epoch {epoch} of {key!r} was committed before (the last is {last}); count on from Opened.epoch"
        )
    check_nothing_pending(key, pending)
    for state in states:
        if state.status not in _STATUSES:
            raise ValueError(
                f"status of {state.doc_id!r} is {state.status!r}, not one of {', '.join(sorted(_STATUSES))}"
            )


def check_nothing_pending(key: str, pending: Sequence[int]) -> None:
    """Raise ``LedgerError`` if an epoch of ``key`` is pending."""
    if pending:
        raise LedgerError(
            f"epoch {pending[0]} of {key!r} is still pending; confirm it, or an earlier epoch, first"
        )


def check_completed(state: str) -> None:
    """Raise ``ValueError`` unless a run may be finished with ``state``."""
    if state != "completed":
        raise ValueError(
            f"a run is finished as 'completed', not as {state!r}; leave an interrupted run unfinished"
        )


def state_values(state: DocumentState) -> tuple[Any, ...]:
    """Return the columns of ``state``."""
    packed = pack_hash(state.content_hash)
    return (state.doc_id, state.status, packed, state.attempts, state.error, state.error_type)


def state_of(row: Sequence[Any]) -> DocumentState:
    """Return the state that ``state_values`` wrote."""
    doc_id, status, content_hash, attempts, error, error_type = row
    return DocumentState(doc_id, status, unpack_hash(content_hash), attempts, error, error_type)


def dead_letter_row(key_id: int, epoch: int, letter: DeadLetter) -> tuple[Any, ...]:
    """Return the columns of ``dead_letters`` that follow ``id``."""
    fields = (
        clean(letter.key),
        clean(letter.doc_id),
        clean(letter.adapter),
        clean(letter.error),
        clean(letter.error_type),
        bytes(letter.raw),
        to_json(letter.context, f"the context of the record {letter.key!r}"),
        clean(letter.traceback),
        letter.attempts,
        float(letter.timestamp),
    )
    return (key_id, epoch, *fields, checksum(*fields))


def dead_letters_of(rows: Iterable[Sequence[Any]], key: str, corrupt: Corrupt) -> list[DeadLetter]:
    """Return the letters in ``rows``: the columns from ``record_key`` to ``checksum``.

    Raises:
        LedgerCorrupt: a row fails its checksum.
    """
    letters: list[DeadLetter] = []
    for *fields, expected in rows:
        record, doc_id, adapter, error, error_type, raw, context, traceback, attempts, failed_at = fields
        if checksum(*fields) != expected:
            raise corrupt(f"the dead letter of record {record!r} of {key!r} fails its checksum")
        letters.append(
            DeadLetter(
                doc_id=doc_id,
                key=record,
                adapter=adapter,
                error=error,
                error_type=error_type,
                raw=raw,
                context=parse_json(context),
                traceback=traceback,
                attempts=attempts,
                timestamp=failed_at,
            )
        )
    return letters
