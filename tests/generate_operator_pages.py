"""Writes ``docs/operators.md``: every operator, source and terminal, ordered by what one wants to do.

``tests/catalogue/*.toml`` say what the page shows; signatures and first sentences come from the code. Each diagram is
drawn from a run in virtual time, and the result of each example is that of a run. Run ``nox -s methods`` when you have
changed an operator or its entry. ``tests/test_methods.py`` fails if the page is not current.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import functools
import io
import math
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import expression

import penstock as ps
import penstock.operators as op
from penstock.operators.fanout.stuck import PATIENCE
from penstock.operators.fanout.subscriber import CAPACITY
from penstock.testing import marbles, run

sys.path.insert(0, str(Path(__file__).parent))
from diagrams import drawn, watched
from generate_methods import Generator, Module

TARGET = Path(__file__).resolve().parent.parent / "docs" / "operators.md"
CATALOGUE = Path(__file__).resolve().parent / "catalogue"
LETTERS = "a-b-c-|"
WIDTH = 110
CONSTANTS = {"CAPACITY": str(CAPACITY), "PATIENCE": str(PATIENCE), "MISSING": "…", "NO_SENTINEL": "…"}
SHORT = {"Same": "Callable[[Flow[T]], Flow[T]]", "Timed": "Callable[[Flow[T]], Flow[tuple[float, T]]]"}
DIGITS = {digit: int(digit) for digit in "0123456789"}
NAMES = {"ps": ps, "op": op, "asyncio": asyncio, "math": math, **vars(expression)}


def catalogue(name: str = "operators") -> dict[str, Any]:
    """Return the sections of one file of the catalogue, in their order."""
    return tomllib.loads((CATALOGUE / f"{name}.toml").read_text("utf-8"))


@functools.cache
def entries(name: str = "operators") -> dict[str, dict[str, Any]]:
    """Return the entries of all sections of one file, by the name of what they describe."""
    found = {}
    for section in catalogue(name).values():
        found |= {key: entry for key, entry in section.items() if isinstance(entry, dict)}
    return found


class Page:
    """Makes the text of the page."""

    def __init__(self) -> None:
        self.generator = Generator()
        self.names: dict[str, Any] = dict(NAMES)  # as the blocks of the page, which run one after the other

    def text(self) -> str:
        """Return the whole page."""
        head = (CATALOGUE / "head.md").read_text("utf-8")
        files = {name: catalogue(name) for name in ("operators", "sources", "terminals")}
        self._execute("\n".join(re.findall(r"```python\n(.*?)```", head, re.DOTALL)))
        index = [_index(section) for sections in files.values() for section in sections.values()]
        parts = [head.replace("{index}\n", "\n".join(index) + "\n")]
        for kind, sections in files.items():
            for section in sections.values():
                parts.append(_head(section))
                parts += [
                    self._entry(kind, key, one) for key, one in section.items() if isinstance(one, dict)
                ]
        return "".join(parts).rstrip() + "\n"

    def _execute(self, code: str) -> None:
        """Run code that may await, as a block of the page."""
        with contextlib.redirect_stdout(io.StringIO()):
            compiled = compile(code, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            outcome = eval(compiled, self.names)  # noqa: S307  the code is our own
            if asyncio.iscoroutine(outcome):
                run(outcome)

    def _entry(self, kind: str, name: str, entry: dict[str, Any]) -> str:
        signature, sentence = self._of_code(kind, name, entry)
        blocks = [f"### {name}", f"```text\n{signature}\n```"]
        blocks.append(" ".join([sentence, *([entry["more"]] if "more" in entry else [])]))
        self._execute(entry.get("define", "") + entry.get("before", "") * ("check" not in entry))
        if "shows" in entry:
            given = entry.get("inputs", {} if kind == "sources" else {"letters": LETTERS})
            blocks.append(f"```text\n{self._diagram(entry, given)}\n```")
        blocks.append(f"```python\n{self._example(entry)}\n```")
        facts = {"Order": "order", "Holds": "holds", "State": "state", "Position": "position"}
        said = [f"*{title}:* {entry[key]}" for title, key in facts.items() if key in entry]
        return "\n\n".join([*blocks, *([" · ".join(said)] if said else [])]) + "\n\n"

    def _diagram(self, entry: dict[str, Any], given: dict[str, str]) -> str:
        """Return the timelines of the inputs, and of the outputs as a run had them."""
        values = DIGITS | entry.get("values", {})
        shown = [entry["shows"]] if isinstance(entry["shows"], str) else entry["shows"]
        names = self.names | {name: ps.Flow(marbles(line, values).node) for name, line in given.items()}
        lines = [(name, ps.Flow(marbles(line, values).node), 0) for name, line in given.items()]
        if "setup" in entry:
            exec(entry["setup"], names)  # noqa: S102  the code is our own
        starts = entry.get("starts", [0] * len(shown))
        labels = [
            f"{code} (from step {start})" if start else code
            for code, start in zip(shown, starts, strict=True)
        ]
        until = entry.get("until", 16)

        def evaluated(code: str) -> Any:
            return eval(code, names)  # noqa: S307  the code is our own

        async def outputs() -> list[Any]:
            flows = zip(labels, map(evaluated, shown), starts, strict=True)
            return await watched(list(flows), until)

        with contextlib.redirect_stdout(io.StringIO()):
            came = run(watched(lines, until)) + run(outputs())
        setup = entry["setup"].strip() + "\n\n" if "setup" in entry else ""
        return setup + drawn(came)

    def _example(self, entry: dict[str, Any]) -> str:
        """Return the code of the example, with its result."""
        define = entry["define"].strip("\n") + "\n\n\n" if "define" in entry else ""
        before = entry["before"].strip() + "\n" if "before" in entry else ""
        before += (
            "\n"
            if before.splitlines()[-1:] and before.splitlines()[-1].startswith(("import", "from"))
            else ""
        )
        example = entry["example"]
        if "check" in entry:  # needs a file that is there when the page's code runs
            return f"{define}{before}assert await {example} {entry['check']}"
        if not example.startswith("assert"):
            self._execute(f"result = await {example}")
            result = self.names["result"]
            wanted = entry.get("result", _literal(result))
            relation = "is" if isinstance(result, bool) else "=="
            example = f"await {example}" if result is None else f"assert await {example} {relation} {wanted}"
        return define + before + example

    def _of_code(self, kind: str, name: str, entry: dict[str, Any]) -> tuple[str, str]:
        """Return the signatures and the first sentence of the docstring."""
        if kind == "terminals":
            module = self.generator.module("penstock.flow.terminals")
            body = module.classes["Terminals"].body
            found = [one for one in body if isinstance(one, ast.AsyncFunctionDef) and one.name == name]
        else:
            module = self._home(kind, name)
            found = module.functions.get(name, [])
            if name in module.classes:
                body = module.classes[name].body
                found = [one for one in body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
        doc = ast.get_docstring(module.classes.get(name, found[-1]))
        assert doc, name
        sentence = doc.split("\n\n")[0].replace("\n", " ").replace("``", "`")
        written = [one for one in found[:-1] if not _of_many(one)] or found[-1:]
        if any(_of_many(one) for one in found):
            written = found[-1:]
        return "\n".join(_signature(module, name, one) for one in written), sentence

    def _home(self, kind: str, name: str) -> Module:
        """Return the module in which an operator or a source is defined."""
        package = "penstock.operators" if kind == "operators" else "penstock"
        return self.generator.module(self.generator.module(package).imports[name][0])


def _literal(value: Any) -> str:
    """Return the code of a value, with the quotes that the pages use."""
    text = "{" + ", ".join(map(repr, sorted(value))) + "}" if isinstance(value, set) else repr(value)
    return text if '"' in text else text.replace("'", '"')


def _of_many(function: Any) -> bool:
    """Return whether a signature takes any number of flows: the others only say the types of a few."""
    return function.args.vararg is not None and function.args.vararg.arg in {"others", "flows"}


def _signature(module: Module, name: str, function: Any) -> str:
    """Return ``name(arguments): from -> to`` for an operator, ``name(arguments) -> result`` for others."""
    arguments = _arguments(function.args)
    result = ast.unparse(function.returns)
    result = SHORT.get(result, result).replace("*Ts,]", "*Ts]").replace("T_co", "T")
    if name in module.classes:
        result = name
    if step := re.fullmatch(r"Callable\[\[(.*?)\], (.*)\]", result):
        result = f"{step[1]} -> {step[2]}"
    arrow = ": " if step else " -> "
    line = f"{name}({', '.join(arguments)}){arrow}{result}"
    if len(line) <= WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {one},\n" for one in arguments) + f"){arrow}{result}"


def _arguments(args: ast.arguments) -> list[str]:
    """Return the parameters as they are written, without ``self``."""
    named = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(named) - len(args.defaults)) + list(args.defaults)
    found = [_argument(a, d) for a, d in zip(named, defaults, strict=True) if a.arg != "self"]
    if args.posonlyargs:
        found.insert(len(args.posonlyargs), "/")
    if args.vararg:
        found.append(f"*{_argument(args.vararg, None)}")
    elif args.kwonlyargs:
        found.append("*")
    return found + [_argument(a, d) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True)]


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    text = argument.arg + (
        f": {ast.unparse(argument.annotation).replace('T_co', 'T')}" if argument.annotation else ""
    )
    if default is None:
        return text
    value = ast.unparse(default)
    return f"{text} = {CONSTANTS.get(value, value)}".replace("'", '"')


def _head(section: dict[str, Any]) -> str:
    lines = [f"## {section['title']}", section.get("intro", "")]
    if "see" in section:
        lines.append(
            f"What to know before you choose: [{section['see']}](choosing.md#{_anchor(section['see'])})."
        )
    return "\n\n".join(filter(None, lines)) + "\n\n"


def _anchor(title: str) -> str:
    return re.sub(r"[^\w\s-]", "", title).lower().replace(" ", "-")


def _index(section: dict[str, Any]) -> str:
    names = [key for key, entry in section.items() if isinstance(entry, dict)]
    return f"| [{section['title']}](#{_anchor(section['title'])}) | {', '.join(f'[{name}](#{name.lower()})' for name in names)} |"


def generated() -> str:
    """Return the text that the page must have now."""
    return Page().text()


if __name__ == "__main__":
    TARGET.write_text(generated(), "utf-8")
    sys.stdout.write(f"wrote {TARGET.name}\n")
