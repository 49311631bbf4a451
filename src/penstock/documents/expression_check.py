"""What an expression that chooses documents may hold; all else is refused, with its place in the text."""

from __future__ import annotations

import ast
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, NoReturn

from penstock.columns import ListOf, Scalar
from penstock.errors import GraphError
from penstock.runtime.arguments import at

if TYPE_CHECKING:
    from penstock.columns import Column

NODES: Final = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.Compare, ast.Eq,
    ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot, ast.Name, ast.Load,
    ast.Constant, ast.Call,
)  # fmt: skip

_TEXT, _NUMBER, _BOOL, _LIST, _STRUCT = "a text", "a number", "True or False", "a list", "a struct"
_KINDS = {"text": _TEXT, "date": _TEXT, "int": _NUMBER, "float": _NUMBER, "bool": _BOOL, "bytes": "bytes"}
_OF_CONSTANTS = {str: _TEXT, int: _NUMBER, float: _NUMBER, bool: _BOOL}
_HOLDS = (_TEXT, _LIST, _STRUCT)
"""What something can be in."""
_FUNCTIONS: dict[str, tuple[str, tuple[tuple[str, ...], ...]]] = {
    "len": (_NUMBER, (_HOLDS,)),
    "lower": (_TEXT, ((_TEXT,),)),
    "upper": (_TEXT, ((_TEXT,),)),
    "startswith": (_BOOL, ((_TEXT,), (_TEXT,))),
    "endswith": (_BOOL, ((_TEXT,), (_TEXT,))),
    "contains": (_BOOL, (_HOLDS, (_TEXT,))),
}
"""What each function returns, and what it takes."""

_EXAMPLES = {1: "len(authors)", 2: 'startswith(title, "A")'}
_SHOWN = 200
_RIGHT = "Right: 'year >= 2015 and \"Neoplasms\" in mesh'"


def refused(text: str, why: str, place: str = "") -> GraphError:
    """Return the error for the expression ``text``; ``place`` says where in it the mistake is."""
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return GraphError(f"where={shown!r}{at()}: {place and f'{place}: '}{why}")


def parsed(text: str, most: int) -> ast.Expression:
    """Return the tree of an expression of at most ``most`` characters.

    Raises:
        GraphError: it is longer, or no expression.
    """
    try:
        if len(text) > most:
            raise ValueError(f"it is longer than {most:,} characters")  # noqa: TRY301
        tree = ast.parse(f"(\n{text}\n)", mode="eval")  # in parentheses, because it may have several lines
    except SyntaxError as error:
        lines = text.splitlines() or [""]
        line, character = (error.lineno or 0) - 1, error.offset or 1
        if not 1 <= line <= len(lines):  # something is missing at the end
            line, character = len(lines), len(lines[-1]) + 1
        raise refused(text, f"{error.msg}. {_RIGHT}", _place(text, line, character)) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise refused(text, f"{str(error) or 'it is nested too deeply'}. {_RIGHT}") from None
    if not text:
        raise refused(text, f"it is empty. {_RIGHT}")
    if tree.body.lineno == 1 and not isinstance(tree.body, ast.Tuple | ast.GeneratorExp):
        raise refused(text, f"unmatched ')'. {_RIGHT}")  # it ended our parenthesis
    ast.increment_lineno(tree, -1)
    return tree


class Check:
    """Refuses what an expression must not have, before a document is read.

    Args:
        text: The expression.
        columns: The columns of the adapter, by name.
        envelope: The names that every document has. They are texts, but for ``deleted``.
    """

    def __init__(self, text: str, columns: dict[str, Column], envelope: list[str]) -> None:
        self._text = text
        self._columns = columns
        self._known = [*envelope, *columns]

    def names_of(self, tree: ast.Expression) -> frozenset[str]:
        """Return the names of the columns in ``tree``."""
        called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
        names: set[str] = set()
        for node in ast.walk(tree):
            if not isinstance(node, NODES):
                self._refuse(node, f"{ast.unparse(node)!r} is not possible here ({type(node).__name__})")
            elif isinstance(node, ast.Call):
                self._call(node)
            elif isinstance(node, ast.Compare):
                self._compare(node)
            elif isinstance(node, ast.Constant):
                self._constant(node)
            elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
                self._take(node.operand, (_NUMBER,), "-")
            elif isinstance(node, ast.Name) and node not in called:
                if node.id not in self._known:
                    near = _near(node.id, self._known, "columns")
                    self._refuse(node, f"there is no column {node.id!r}{near}")
                names.add(node.id)
        return frozenset(names)

    def _call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func)
        if name not in _FUNCTIONS:
            self._refuse(node, f"there is no function {name!r}{_near(name, list(_FUNCTIONS), 'functions')}")
        _, wanted = _FUNCTIONS[name]
        if node.keywords or len(node.args) != len(wanted):
            values = f"{len(wanted)} value{'s' if len(wanted) > 1 else ''}"
            self._refuse(node, f"{name} takes {values}, as in {_EXAMPLES[len(wanted)]}")
        for argument, kinds in zip(node.args, wanted, strict=True):
            self._take(argument, kinds, name)

    def _take(self, node: ast.expr, kinds: tuple[str, ...], by: str) -> None:
        kind = self._kind(node)
        if kind is not None and kind not in kinds:
            self._refuse(node, f"{by} takes {' or '.join(kinds)}, and {ast.unparse(node)} is {kind}")

    def _constant(self, node: ast.Constant) -> None:
        if node.value is not None and type(node.value) not in _OF_CONSTANTS:
            self._refuse(node, f"{node.value!r} is no text, number, True, False or None")

    def _compare(self, node: ast.Compare) -> None:
        sides = [node.left, *node.comparators]
        for kind, left, right in zip(node.ops, sides, sides[1:], strict=False):
            is_none = isinstance(right, ast.Constant) and right.value is None
            if isinstance(kind, ast.Is | ast.IsNot) is not is_none:
                why = "'is' stands only in 'is None' and 'is not None', which ask for missing values"
                self._refuse(right, why)
            elif isinstance(kind, ast.In | ast.NotIn):
                self._membership(left, right)
            elif not is_none:
                self._match(left, right)
                self._match(right, left)

    def _membership(self, left: ast.expr, right: ast.expr) -> None:
        kind, name = self._kind(right), ast.unparse(right)
        if kind is not None and kind not in _HOLDS:
            column = self._column(right)
            shown = f"one value ({column.type})" if column is not None else kind
            self._refuse(right, f"{name} is {shown}: compare it with ==")
        if isinstance(left, ast.Constant) and not isinstance(left.value, str):
            self._refuse(left, f"only a text can be in something: write {str(left.value)!r} with quotes")
        self._take(left, (_TEXT,), f"'in {name}'")

    def _match(self, one: ast.expr, other: ast.expr) -> None:
        """Refuse a comparison of values of two types: it would always be false, or fail."""
        kind, against, name = self._kind(one), self._kind(other), ast.unparse(one)
        if kind in (_LIST, _STRUCT):
            column = self._column(one)
            self._refuse(
                one, f'{name} is a {column and column.type}: ask what is in it, as in "a text" in {name}'
            )
        elif kind is None or against in (None, kind, _LIST, _STRUCT):
            return
        elif isinstance(other, ast.Constant) and (column := self._column(one)) is not None:
            self._refuse(other, f"{name} is of the type {column.type}, and {other.value!r} is not")
        elif self._column(other) is None or not isinstance(one, ast.Constant):
            self._refuse(other, f"{name} is {kind}, and {ast.unparse(other)} is {against}")

    def _kind(self, node: ast.expr) -> str | None:
        """Return what a part of the expression is, or ``None`` if that is open."""
        if isinstance(node, ast.Constant):
            return _OF_CONSTANTS.get(type(node.value))
        if isinstance(node, ast.Call):
            return _FUNCTIONS.get(ast.unparse(node.func), (None,))[0]
        if isinstance(node, ast.UnaryOp | ast.Compare):
            return _NUMBER if isinstance(getattr(node, "op", None), ast.USub) else _BOOL
        return self._kind_of_name(node.id) if isinstance(node, ast.Name) else None

    def _kind_of_name(self, name: str) -> str | None:
        column = self._columns.get(name)
        if column is None and name in self._known:
            return _BOOL if name == "deleted" else _TEXT
        if column is None:
            return None
        if isinstance(column.type, Scalar):
            return _KINDS.get(column.type.kind)
        return _LIST if isinstance(column.type, ListOf) else _STRUCT

    def _column(self, node: ast.expr) -> Column | None:
        return self._columns.get(node.id) if isinstance(node, ast.Name) else None

    def _refuse(self, node: ast.AST, why: str) -> NoReturn:
        line = getattr(node, "lineno", None)
        if not line:  # an operator, which has no place of its own, or a tuple: its place is the whole text
            raise refused(self._text, why)
        before = self._text.splitlines()[line - 1].encode()[: getattr(node, "col_offset", 0)]
        raise refused(self._text, why, _place(self._text, line, len(before.decode()) + 1))


def _place(text: str, line: int, character: int) -> str:
    """Return a place as people count: a line, if there are several, and a character."""
    return f"line {line}, character {character}" if "\n" in text else f"character {character}"


def _near(name: str, known: list[str], what: str) -> str:
    near = get_close_matches(name, known, n=3)
    return f": did you mean {' or '.join(near)}?" if near else f"; the {what} are: {', '.join(known)}"
