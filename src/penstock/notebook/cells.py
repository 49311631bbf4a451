"""The names of a notebook's cells, for messages: the file of a cell is a temporary one."""

from __future__ import annotations

import re
import sys

_MARIMO = re.compile(r"__marimo__cell_\w*\.py$")


def cell_of(file: str) -> str:
    """Return ``In[3]`` for the file of a cell in IPython, ``cell`` for one in marimo, ``""`` for others."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    named = getattr(getattr(shell, "compile", None), "format_code_name", None)  # IPython 8 and later
    if named is not None and (found := named(file)):
        return str(found[1])
    return "cell" if "marimo" in sys.modules and _MARIMO.search(file) else ""
