"""The pytest plugin of ``penstock.testing``: what ``penstock.testing.plugin`` describes.

pytest loads it at every start, wherever Penstock is installed. So it stands outside of the package,
whose import would cost time and happen before a measurement of coverage has begun: nothing of Penstock is
imported before a test asks for one of the fixtures.
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
    """Add the options for seeds."""
    group = parser.getgroup("penstock", "seeded schedules (penstock.testing)")
    group.addoption(
        "--penstock-seeds", type=int, metavar="N", help=f"schedules that the fixture explore tries ({_SEEDS})"
    )
    group.addoption(
        "--penstock-seed", type=int, metavar="SEED", help="the only schedule that the fixture explore tries"
    )
    parser.addini("penstock_seeds", "schedules that the fixture explore tries", default=str(_SEEDS))


@pytest.fixture
def no_leaks() -> None:
    """Fail this test if it leaves a task, an async generator, a file or an unretrieved exception behind.

    Holds for a test that is a coroutine function, and for what it runs by ``virtual_time`` or ``explore``.
    """


@pytest.fixture
def virtual_time(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Run a coroutine in virtual time: ``virtual_time(main())`` returns what it returns."""
    from penstock.testing.plugin import runner

    return runner(leaks=_leaks_count(request.node))


@pytest.fixture
def explore(request: pytest.FixtureRequest) -> Explorer:
    """Run a coroutine function under many seeded schedules: ``explore(main)``."""
    from penstock.testing.plugin import Explorer

    config = request.config
    seeds = config.getoption("--penstock-seeds") or int(config.getini("penstock_seeds"))
    only = config.getoption("--penstock-seed")
    return Explorer(seeds, only, request.node.nodeid, leaks=_leaks_count(request.node))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Put the leak check around a test that is a coroutine function and uses ``no_leaks``."""
    if isinstance(item, pytest.Function) and _leaks_count(item) and inspect.iscoroutinefunction(item.obj):
        from penstock.testing.plugin import without_leaks

        item.obj = without_leaks(item.obj)
    return (yield)


def _leaks_count(item: Any) -> bool:
    return "no_leaks" in getattr(item, "fixturenames", ())
