"""The pytest plugin of ``penstock.testing``: the fixtures ``virtual_time``, ``explore`` and ``no_leaks``.

pytest loads this module at every start, wherever Penstock is installed. So it stands outside of the
package, and imports nothing of Penstock until a test uses a fixture: other test runs lose no time, and
coverage starts before the package is imported.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from penstock.testing.plugin import Explorer

__all__ = ["explore", "no_leaks", "virtual_time"]

_SEEDS = 200


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--penstock-seeds``, ``--penstock-seed`` and the setting ``penstock_seeds``."""
    group = parser.getgroup("penstock", "seeded schedules (penstock.testing)")
    group.addoption(
        "--penstock-seeds",
        type=int,
        metavar="N",
        help=f"how many schedules the fixture explore tries ({_SEEDS})",
    )
    group.addoption(
        "--penstock-seed",
        type=int,
        metavar="SEED",
        help="the only schedule that the fixture explore tries, instead",
    )
    parser.addini("penstock_seeds", "how many schedules the fixture explore tries", default=str(_SEEDS))


@pytest.fixture
def no_leaks() -> None:
    """Fail this test if it leaves a task, an async generator, a file or an unretrieved exception behind.

    Checks coroutine functions, and coroutines that a test runs by ``virtual_time`` or ``explore``.
    """


@pytest.fixture
def virtual_time(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Run a coroutine in virtual time, and return its result: ``virtual_time(main())``."""
    from penstock.testing.plugin import runner

    return runner(leaks=_checks_leaks(request.node))


@pytest.fixture
def explore(request: pytest.FixtureRequest) -> Explorer:
    """Run a coroutine function under many seeded schedules: ``explore(main)``."""
    from penstock.testing.plugin import Explorer

    config = request.config
    seeds = config.getoption("--penstock-seeds") or int(config.getini("penstock_seeds"))
    only = config.getoption("--penstock-seed")
    return Explorer(seeds, only, request.node.nodeid, leaks=_checks_leaks(request.node))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Check a test that is a coroutine function and uses ``no_leaks`` for leaks."""
    if isinstance(item, pytest.Function) and _checks_leaks(item) and inspect.iscoroutinefunction(item.obj):
        from penstock.testing.plugin import without_leaks

        item.obj = without_leaks(item.obj)
    return (yield)


def _checks_leaks(item: Any) -> bool:
    return "no_leaks" in getattr(item, "fixturenames", ())
