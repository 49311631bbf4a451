"""How positions, records, states and dead letters are written down, checked, and read back."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from penstock.abc import DeadLetter, DocumentState
from penstock.errors import LedgerError, PositionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "SETTLED",
    "check_commit",
    "checksum",
    "clean",
    "dead_letter_of",
    "dead_letter_row",
    "pack_hash",
    "parse_json",
    "state_of",
    "state_values",
    "to_json",
    "unpack_hash",
]

STATUSES = frozenset({"completed", "failed", "deleted"})

SETTLED = frozenset({"completed", "deleted"})
"""The statuses that say: this content was delivered, and need not be again."""


def to_json(value: Any, what: str) -> str:
    """Return ``value`` as JSON in ASCII, so that even a lone surrogate survives.

    Raises:
        PositionError: it has no JSON; the message begins with ``what``.
    """
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise PositionError(f"{what} cannot be stored as JSON: {error}") from error


def parse_json(text: str) -> Any:
    """Return the value of JSON that ``to_json`` wrote."""
    return json.loads(text)


def checksum(*fields: object) -> str:
    """Return a checksum over values and their types; it finds damage, it does not stop a forger."""
    return blake2b(repr(fields).encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()


def clean(text: str | None) -> str | None:
    """Return ``text`` with lone surrogates, which no database stores, written out as escapes."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()


def pack_hash(content_hash: str) -> bytes | str:
    """Return a SHA-256 in half the space; anything else as it is."""
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
    """Refuse a commit that does not come next.

    Args:
        key: The ledger's key, for the message.
        epoch: The epoch of the commit.
        last: The last epoch that is true.
        pending: The epochs that wait for a decision and would be overtaken.
        states: What it says of documents.

    Raises:
        LedgerError: ``epoch`` was committed before, or would overtake ``pending``.
        ValueError: a state has an unknown status.
    """
    if epoch <= last:
        raise LedgerError(
            f"epoch {epoch} of {key!r} was committed before (the last is {last}); count on from Opened.epoch"
        )
    if pending:
        raise LedgerError(
            f"epoch {pending[0]} of {key!r} is still pending; confirm up to some epoch before going on"
        )
    for state in states:
        if state.status not in STATUSES:
            raise ValueError(
                f"status of {state.doc_id!r} is {state.status!r}, not one of {', '.join(sorted(STATUSES))}"
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
    """Return the columns of ``dead_letters`` behind ``id``."""
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


def dead_letter_of(fields: Sequence[Any], expected: str) -> DeadLetter | None:
    """Return the letter of these columns (``record_key`` to ``failed_at``), ``None`` if it is damaged."""
    if checksum(*fields) != expected:
        return None
    key, doc_id, adapter, error, error_type, raw, context, traceback, attempts, failed_at = fields
    return DeadLetter(
        doc_id=doc_id,
        key=key,
        adapter=adapter,
        error=error,
        error_type=error_type,
        raw=raw,
        context=parse_json(context),
        traceback=traceback,
        attempts=attempts,
        timestamp=failed_at,
    )
