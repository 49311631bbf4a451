"""Paths as people write them: ``~`` is the home folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

ErrorT = TypeVar("ErrorT", bound=Exception)


def user_path(path: str | os.PathLike[str], error: Callable[[str], Exception]) -> str:
    """Return ``path`` with the home folder in place of ``~`` or ``~name`` at its beginning.

    Raises:
        Exception: there is no such user, or no home folder; what ``error`` returns for the message.
    """
    text = os.fspath(path)
    if not isinstance(text, str) or not text.startswith("~"):
        return text
    expanded = os.path.expanduser(text)  # noqa: PTH111 - Path.expanduser raises a RuntimeError
    user = text.partition(os.sep)[0]
    if expanded.startswith(user):
        who = f"no user is called {user[1:]}" if user != "~" else "the home folder is not known"
        raise error(f"{text} cannot be found: {who}; for a file of that name write ./{text}")
    return expanded
