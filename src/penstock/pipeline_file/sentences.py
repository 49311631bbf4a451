"""What pydantic finds, as sentences about the keys of a file."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from penstock.pipeline_file.mistakes import dotted
from penstock.pipeline_file.model import PipelineModel, RetryTable, SourceTable, StepTable
from penstock.redact import redact_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel, ValidationError

    KeyPath = tuple[str | int, ...]

LIMITS = {
    "greater_than_equal": "must be at least {ge}",
    "int_parsing": "must be a whole number",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}
"""What pydantic says in other words, by the type of the error: in a file as well as on the command line."""
_RULES = LIMITS | {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "greater_than": "must be greater than {gt}",
    "finite_number": "must be a finite number",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "less_than": "must be less than {lt}",
    "list_type": "must be a list",
    "missing": "is missing",
    "model_type": "must be a table",
    "path_type": "must be a path in quotes",
    "string_pattern_mismatch": "must be an import path, as in package.module:function",
    "string_too_short": "must not be empty",
    "string_type": "must be a text in quotes",
    "too_short": "must not be empty",
}
"""The same, in a file."""
_WHOLE = {
    "where": "must be an expression in quotes, or a table with the key function",
    "ledger": "must be a text in quotes, or false",
    "limit": "must be a whole number of at least 1, or false",
}
"""Keys that take values of several types."""
_TABLES: dict[str, type[BaseModel]] = {
    "": PipelineModel,
    "source": SourceTable,
    "retry": RetryTable,
    "where": StepTable,
    "process": StepTable,
}
_SHOWN = 60


def mistakes_of(
    error: ValidationError, document: Any, model: type[BaseModel], at: KeyPath
) -> Iterator[tuple[KeyPath, str]]:
    """Yield each mistake of a table: its path in the table, and a sentence about it.

    Values are shown as the file has them: with the names of variables, not with their values.

    Args:
        error: What pydantic found in the table, with the values of variables.
        document: The table as the file has it.
        model: The model of the table.
        at: The path of the table.
    """
    for problem in error.errors(include_input=False, include_url=False):
        path, value = _found(
            problem["loc"], document, missing=problem["type"] in ("missing", "extra_forbidden")
        )
        key = dotted((*at, *path))
        if key == "where" and isinstance(value, dict):
            continue  # it is no text, but a table may stand here: the mistakes in that table follow
        if problem["type"] == "extra_forbidden":
            yield path, f"{key} is unknown{_advice((*at, *path), model)}"
            continue
        rule = _WHOLE.get(key) if not at else None
        if rule is None or isinstance(value, dict):
            limits = problem.get("ctx", {})
            words = _RULES.get(problem["type"])
            rule = words.format(**limits) if words else _own_words(problem["msg"])
        shown = "" if problem["type"] in ("missing", "too_short") else f", not {_as_written(path, value)}"
        yield path, f"{key} {rule}{shown}"


def _own_words(message: str) -> str:
    """Return a message of pydantic, or of a validator of another package, behind the name of a key."""
    return f"is not right: {message.removeprefix('Value error, ')}"


def _found(location: tuple[int | str, ...], document: Any, *, missing: bool) -> tuple[KeyPath, Any]:
    """Return the path of an error in the document, and the value there.

    pydantic's locations also name the kinds of a union, which are no keys.
    """
    path: list[str | int] = []
    value = document
    for number, part in enumerate(location, 1):
        if _has(value, part):
            value = value[part]
            path.append(part)
        elif missing and number == len(location) and isinstance(value, dict):
            path.append(part)
    return tuple(path), value


def _has(value: Any, part: int | str) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def _as_written(path: KeyPath, value: Any) -> str:
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    text = json.dumps(redact_json({name: value})[name], ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _advice(path: KeyPath, model: type[BaseModel]) -> str:
    """Return which key may be meant by an unknown one."""
    *parents, name = path
    known = _TABLES.get(str(parents[0]) if parents else "", model) if model is PipelineModel else model
    if near := get_close_matches(str(name), known.model_fields, n=2):
        return f": did you mean {' or '.join(near)}?"
    for table, other in _TABLES.items():
        if table in ("", "source", "retry") and other is not known and name in other.model_fields:
            where = f"it belongs to [{table}]" if table else "it belongs above the first [table] of the file"
            return f": {where}"
    if parents == ["source"]:
        return ": the settings of an adapter belong to [source.settings]"
    return f"; the keys are: {', '.join(known.model_fields)}"
