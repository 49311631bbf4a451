"""Functions by their import path: ``package.module:function``."""

from __future__ import annotations

import sys
from functools import partial, reduce
from importlib import import_module
from typing import TYPE_CHECKING, Any

from penstock.errors import GraphError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from penstock.pipeline_file.model import StepTable


def imported(name: str, folder: Path, *, first: bool = False) -> Any:
    """Return the object ``package.module:object``.

    Modules in ``folder`` are found too: it becomes the last place where Python looks for modules, or the
    ``first``.

    Raises:
        GraphError: the module cannot be imported, or has no such object.
    """
    module_name, _, attributes = name.partition(":")
    if not (module_name and attributes):
        raise GraphError(f"{name!r} is no import path: write package.module:name")
    if (place := str(folder.absolute())) not in sys.path:
        sys.path.insert(0 if first else len(sys.path), place)
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise GraphError(
                f"{module_name} cannot be imported: it needs {error.name}, which is not installed"
            ) from error
        where = (
            f"start the command in its folder, not in {place}"
            if first
            else f"put it beside the file, in {folder}"
        )
        raise GraphError(f"there is no module {error.name}: install it, or {where}") from error
    except (Exception, SystemExit) as error:  # code of a user may raise anything when it is imported
        raise GraphError(f"{module_name} cannot be imported: {type(error).__name__}: {error}") from error
    try:
        return reduce(getattr, attributes.split("."), module)
    except AttributeError as error:
        from difflib import get_close_matches

        near = get_close_matches(attributes, [name for name in dir(module) if not name.startswith("_")], n=1)
        advice = f": did you mean {near[0]}?" if near else ""
        raise GraphError(f"{module_name} has no {attributes}{advice}") from error


def step_of(table: StepTable, folder: Path) -> Callable[..., Any]:
    """Return the function of a table, with its arguments bound.

    Raises:
        GraphError: it cannot be imported or called.
    """
    function = imported(table.function, folder)
    if not callable(function):
        raise GraphError(f"{table.function} is no function but {type(function).__name__}")
    bound: Callable[..., Any] = partial(function, **table.arguments) if table.arguments else function
    return bound


def retried_kinds(names: Sequence[str], folder: Path) -> Any:
    """Return what ``RetryPolicy(retry_on=...)`` takes: the kinds of errors with these names, or a function.

    Raises:
        GraphError: one cannot be imported, or is neither a kind of errors nor the only function.
    """
    found = [imported(name, folder) for name in names]
    is_kind = [isinstance(one, type) and issubclass(one, Exception) for one in found]
    if all(is_kind):
        return tuple(found)
    if len(found) == 1 and callable(found[0]) and not isinstance(found[0], type):
        return found[0]
    name, other = next(
        pair for pair, good in zip(zip(names, found, strict=True), is_kind, strict=True) if not good
    )
    what = (
        f"the class {other.__qualname__}"
        if isinstance(other, type)
        else f"of the type {type(other).__name__}"
    )
    raise GraphError(f"{name} is {what}: name classes of exceptions, or one function and nothing else")
