"""What every test may use: the Hypothesis profiles, and the real data."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from .postgres import PostgresServer, find_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

# The tests assert no durations, so Hypothesis must not assert any: a busy machine is no failure.
_SLOW = [HealthCheck.too_slow]
settings.register_profile("default", max_examples=30, deadline=None, suppress_health_check=_SLOW)
# CI uses the same examples each time, so that a change fails only for what it touched. Runs by hand and the
# long profile look for new examples.
settings.register_profile(
    "ci", max_examples=30, deadline=None, print_blob=True, derandomize=True, suppress_health_check=_SLOW
)
settings.register_profile(
    "laws", max_examples=2_000, deadline=None, print_blob=True, suppress_health_check=_SLOW
)
settings.load_profile("ci" if os.environ.get("CI") else "default")  # --hypothesis-profile overrules this

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Return the folder of real data: ``PENSTOCK_CORPUS``, or ``shared/corpus`` beside the checkout."""
    named = os.environ.get("PENSTOCK_CORPUS")
    folder = Path(named) if named else ROOT.parent / "shared" / "corpus"
    if not folder.is_dir():
        pytest.skip("the corpus of real data is not here; PENSTOCK_CORPUS may name its folder")
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Return a running PostgreSQL server; ``server.database()`` is the URL of an empty database."""
    programs = find_postgres()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    server = PostgresServer(programs)
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that every user may enter; pytest closes its own whenever another pytest begins."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


@pytest.fixture
def forking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``kill_at`` fork its processes: they do not import the library again."""
    from penstock.testing.faults import killing

    from .cli.conftest import Penstock, environment

    def start(command: list[str], *, cwd: Path, env: dict[str, str] | None, **_: Any) -> Any:
        words = [os.fspath(word) for word in command]
        return Penstock.server().start(words, cwd, environment() if env is None else env).in_text()

    monkeypatch.setattr(killing, "Popen", start)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses the corpus, so that ``-m 'not corpus'`` leaves out all of them."""
    for item in items:
        if "corpus" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.corpus)
