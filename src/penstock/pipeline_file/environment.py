"""``${NAME}`` and ``${NAME:-default}`` in the texts of a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from penstock.redact import conceal

if TYPE_CHECKING:
    from penstock.pipeline_file.lines import Path

_VARIABLE = re.compile(
    r"\$\$(?=\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{[^}]*\}?"
)


def expanded(
    value: Any, environment: Mapping[str, str], report: Callable[[Path, str], None], path: Path = ()
) -> Any:
    """Return ``value`` with the values of variables in its texts; keys stay as they are.

    ``$${`` is a plain ``${``. Values that come from the environment are hidden in messages from now on, with
    their ``${NAME}`` in place (see `penstock.redact.conceal`). A mistake is reported with its path.
    """
    if isinstance(value, dict):
        return {key: expanded(inner, environment, report, (*path, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [expanded(inner, environment, report, (*path, n)) for n, inner in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value

    def replaced(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        name, default = found["name"], found["default"]
        if name is None:
            report(
                path,
                f"{found[0]!r} is no variable: write ${{NAME}} or ${{NAME:-default}}; $${{ is a plain ${{",
            )
            return found[0]
        given = environment.get(name, "")
        if given:
            conceal(given, f"${{{name}}}")
            return given
        if default is not None:
            return default
        if name not in environment:
            report(
                path, f"the variable {name} is not set: set it, or give a default, as in ${{{name}:-default}}"
            )
        else:
            report(path, f"the variable {name} is empty")
        return found[0]

    return _VARIABLE.sub(replaced, value)
