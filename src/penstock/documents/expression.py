"""Expressions that choose documents: ``year >= 2015 and "Neoplasms" in mesh``.

simpleeval evaluates them, one node of Python's syntax tree after the other. Only the nodes, operators and
functions below exist: no attributes, no subscripts, no arithmetic, no ``eval``.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from penstock.columns import ENVELOPE, Column, Scalar, columns_of
from penstock.errors import GraphError
from penstock.runtime.arguments import at

if TYPE_CHECKING:
    from penstock.document import Document

_MAX_CHARACTERS = 10_000
_NODES: Final = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.Compare, ast.Eq,
    ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot, ast.Name, ast.Load,
    ast.Constant, ast.Call,
)  # fmt: skip
_LEFT_OUT = ("metadata", "raw", "version_order")
_KINDS = {str: ("text", "date"), int: ("int", "float"), float: ("int", "float"), bool: ("bool",)}


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
        GraphError: the text is no such expression, or names an unknown column; the message has near names.
    """

    def __init__(self, text: str, schema: type | None) -> None:
        from simpleeval import SimpleEval

        self._text = text
        columns = {column.name: column for column in (columns_of(schema) if schema is not None else ())}
        readers = {name: operator.attrgetter(name) for name in ENVELOPE if name not in _LEFT_OUT}
        tree = _parsed(text)
        self._names = _Check(text, columns, [*readers, *columns]).names_of(tree)
        self._readers: dict[str, Callable[[Document], Any]] = {
            name: _reader(columns[name]) if name in columns else readers[name] for name in self._names
        }
        self._tree = tree.body
        self._evaluator: Any = SimpleEval(operators=_OPERATORS, functions=_FUNCTIONS, names={})
        known = self._evaluator.nodes
        self._evaluator.nodes = {kind: known[kind] for kind in _NODES if kind in known}

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


def _parsed(text: str) -> ast.Expression:
    try:
        if len(text) > _MAX_CHARACTERS:
            raise ValueError(f"it is longer than {_MAX_CHARACTERS:,} characters")  # noqa: TRY301
        return ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = error.msg if isinstance(error, SyntaxError) else str(error)
        raise _refused(text, f"{why}. Right: 'year >= 2015 and \"Neoplasms\" in mesh'") from None


class _Check:
    """Refuses what an expression must not have, before a document is read."""

    def __init__(self, text: str, columns: dict[str, Column], known: list[str]) -> None:
        self._text = text
        self._columns = columns
        self._known = known

    def names_of(self, tree: ast.Expression) -> frozenset[str]:
        """Return the names of the columns in ``tree``."""
        called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
        names: set[str] = set()
        for node in ast.walk(tree):
            if not isinstance(node, _NODES):
                self._refuse(f"{ast.unparse(node)!r} is not possible here ({type(node).__name__})")
            elif isinstance(node, ast.Call):
                self._call(node)
            elif isinstance(node, ast.Compare):
                self._compare(node)
            elif isinstance(node, ast.Constant):
                self._constant(node)
            elif isinstance(node, ast.Name) and node not in called:
                if node.id not in self._known:
                    self._refuse(f"there is no column {node.id!r}" + _near(node.id, self._known))
                names.add(node.id)
        return frozenset(names)

    def _call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func)
        if name not in _FUNCTIONS:
            self._refuse(f"there is no function {name!r}; there are {', '.join(_FUNCTIONS)}")
        wanted = 1 if name in ("len", "lower", "upper") else 2
        if node.keywords or len(node.args) != wanted:
            self._refuse(f"{name} takes {wanted} value{'s' if wanted > 1 else ''}, as in {_EXAMPLES[wanted]}")

    def _constant(self, node: ast.Constant) -> None:
        if node.value is not None and type(node.value) not in _KINDS:
            self._refuse(f"{node.value!r} is no text, number, True, False or None")

    def _compare(self, node: ast.Compare) -> None:
        sides = [node.left, *node.comparators]
        for kind, left, right in zip(node.ops, sides, sides[1:], strict=False):
            is_none = isinstance(right, ast.Constant) and right.value is None
            if isinstance(kind, ast.Is | ast.IsNot) is not is_none:
                self._refuse("'is' stands only in 'is None' and 'is not None', which ask for missing values")
            elif isinstance(kind, ast.In | ast.NotIn):
                self._membership(left, right)
            elif not is_none:
                self._match(left, right)
                self._match(right, left)

    def _membership(self, left: ast.expr, right: ast.expr) -> None:
        column = self._column(right)
        if (
            column is not None
            and isinstance(column.type, Scalar)
            and column.type.kind not in ("text", "date")
        ):
            self._refuse(f"{column.name} is one value ({column.type}): compare it with ==")
        if isinstance(left, ast.Constant) and not isinstance(left.value, str):
            self._refuse(f"only a text can be in something: write {str(left.value)!r} with quotes")

    def _match(self, one: ast.expr, other: ast.expr) -> None:
        """Refuse a comparison of a column with a constant of another type: it would always be false."""
        column = self._column(one)
        if column is None:
            return
        if not isinstance(column.type, Scalar):
            self._refuse(
                f'{column.name} is a {column.type}: ask what is in it, as in "a text" in {column.name}'
            )
        elif isinstance(other, ast.Constant) and column.type.kind not in _KINDS.get(type(other.value), ()):
            self._refuse(f"{column.name} is of the type {column.type}, and {other.value!r} is not")

    def _column(self, node: ast.expr) -> Column | None:
        return self._columns.get(node.id) if isinstance(node, ast.Name) else None

    def _refuse(self, why: str) -> None:
        raise _refused(self._text, why)


def _refused(text: str, why: str) -> GraphError:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return GraphError(f"where={shown!r}{at()}: {why}")


def _near(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=3)
    return f": did you mean {' or '.join(near)}?" if near else f"; the columns are: {', '.join(known)}"


def _comparing(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda a, b: a is not None and b is not None and compare(a, b)


def _is_in(wanted: Any, container: Any) -> bool:
    return container is not None and wanted is not None and wanted in container


_SHOWN = 200
_EXAMPLES = {1: "len(authors)", 2: 'startswith(title, "A")'}
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
