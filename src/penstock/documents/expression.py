"""Expressions that choose documents: ``year >= 2015 and "Neoplasms" in mesh``.

simpleeval evaluates them, one node of Python's syntax tree after the other. Only the nodes, operators and
functions below exist: no attributes, no subscripts, no arithmetic, no ``eval``.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from penstock.columns import ENVELOPE, Column, Scalar, columns_of
from penstock.documents.expression_check import NODES, Check, parsed

if TYPE_CHECKING:
    from penstock.document import Document

_MAX_CHARACTERS = 10_000
_LEFT_OUT = ("metadata", "raw", "version_order")


class Expression:
    """A function of documents, made of a text; true for documents that pass.

    * Names are the columns of the adapter, and ``doc_id``, ``record_id``, ``source``, ``version``, ``title``,
      ``content``, ``content_hash``, ``deleted``.
    * ``and``, ``or``, ``not``, ``== != < <= > >=``, ``in``, ``not in``, ``is None``, ``is not None``; texts,
      numbers, ``True``, ``False``; ``len(x)``, ``lower(x)``, ``upper(x)``, ``startswith(x, "a")``,
      ``endswith(x, "a")``, ``contains(x, "a")``.
    * ``"a" in x`` looks for a part of a text, an item of a list of texts, or an item of a list of structs one
      of whose texts is ``"a"``. Nothing is in a missing value.
    * A comparison with a missing value is false; ``is None`` asks for one.
    * Dates are compared as texts: ``publication_date >= "2015-06-01"``.
    * Tombstones pass, unless the expression names ``deleted``.

    Args:
        text: The expression.
        schema: The class that declares the columns.

    Raises:
        GraphError: the text is no such expression, names an unknown column, or compares values of two types.
            The message says where in the text, what is wrong there, and which names are near.
    """

    def __init__(self, text: str, schema: type | None) -> None:
        from simpleeval import SimpleEval

        self._text = text = text.strip()
        columns = {column.name: column for column in (columns_of(schema) if schema is not None else ())}
        readers = {name: operator.attrgetter(name) for name in ENVELOPE if name not in _LEFT_OUT}
        tree = parsed(text, _MAX_CHARACTERS)
        self._names = Check(text, columns, list(readers)).names_of(tree)
        self._readers: dict[str, Callable[[Document], Any]] = {
            name: _reader(columns[name]) if name in columns else readers[name] for name in self._names
        }
        self._tree = tree.body
        self._evaluator: Any = SimpleEval(operators=_OPERATORS, functions=_FUNCTIONS, names={})
        known = self._evaluator.nodes
        self._evaluator.nodes = {kind: known[kind] for kind in NODES if kind in known}

    def __call__(self, document: Document) -> bool:
        """Return whether ``document`` passes."""
        if document.deleted and "deleted" not in self._names:
            return True
        self._evaluator.names = {name: read(document) for name, read in self._readers.items()}
        return bool(self._evaluator.eval(self._text, self._tree))

    def __repr__(self) -> str:
        return self._text


class _Items:
    """A list or a struct; simpleeval would walk through a whole list for each node."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __len__(self) -> int:
        return len(self.value)

    def __contains__(self, wanted: Any) -> bool:
        items = self.value if isinstance(self.value, list) else [self.value]
        return any(item == wanted or (type(item) is dict and wanted in item.values()) for item in items)


def _reader(column: Column) -> Callable[[Document], Any]:
    """Return how to read a column; what is not of its type is missing, as in outputs."""
    name, read, kind = column.name, column.read, column.type

    def value_of(document: Document) -> Any:
        value = document.metadata.get(name) if read is None else read(document)
        if isinstance(kind, Scalar):
            return value if value is not None and kind.fits(value) else None
        return _Items(value) if isinstance(value, list | dict) else None

    return value_of


def _comparing(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda a, b: a is not None and b is not None and compare(a, b)


def _is_in(wanted: Any, container: Any) -> bool:
    return container is not None and wanted is not None and wanted in container


_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Eq: _comparing(operator.eq), ast.NotEq: _comparing(operator.ne), ast.Lt: _comparing(operator.lt),
    ast.LtE: _comparing(operator.le), ast.Gt: _comparing(operator.gt), ast.GtE: _comparing(operator.ge),
    ast.In: _is_in, ast.NotIn: lambda a, b: not _is_in(a, b), ast.Not: operator.not_, ast.USub: operator.neg,
    ast.Is: operator.is_, ast.IsNot: operator.is_not,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "len": lambda value: 0 if value is None else len(value),
    "lower": lambda text: None if text is None else text.lower(),
    "upper": lambda text: None if text is None else text.upper(),
    "startswith": lambda text, start: text is not None and text.startswith(start),
    "endswith": lambda text, end: text is not None and text.endswith(end),
    "contains": lambda text, part: _is_in(part, text),
}
