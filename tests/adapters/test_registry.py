"""The registry of adapters: what is built in, and entry points that are good, broken or doubled."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest

from penstock.adapters import AdapterEntry, find_adapter, find_adapters, pubmed
from penstock.adapters.pubmed.entry import PubMedSettings
from penstock.adapters.registry import BUILT_IN
from penstock.errors import AdapterError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
from pydantic import BaseModel
from penstock.adapters import AdapterEntry

class Settings(BaseModel):
    pass

def entry_of(name):
    return AdapterEntry(
        name=name, description="One.", inputs=None, settings=Settings, build=print, replay=print
    )

one, two = entry_of("one"), entry_of("two")
number = 7
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that puts a distribution with entry points on the path."""

    def put(distribution: str, module: str, source: str, **points: str) -> None:
        folder = tmp_path / distribution
        metadata = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (folder / f"{module}.py").write_text(source)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        lines = "".join(f"{name} = {module}:{attribute}\n" for name, attribute in points.items())
        (metadata / "entry_points.txt").write_text(f"[penstock.adapters]\n{lines}")
        monkeypatch.syspath_prepend(folder)

    return put


def names() -> list[str]:
    return [entry.name for entry in find_adapters()[0]]


def test_pubmed_is_built_in() -> None:
    """It needs no installed metadata."""
    entry = find_adapter("pubmed")
    assert (entry.name, entry.origin) == ("pubmed", "penstock (built in)")
    assert entry.build(["a.xml"], entry.settings()).source.name == "pubmed"
    assert entry.replay().source.name == "pubmed"


def test_the_settings_of_pubmed_are_its_arguments() -> None:
    """Each setting is a keyword argument of the same name and default."""
    arguments = inspect.signature(pubmed).parameters
    for name, field in PubMedSettings.model_fields.items():
        assert field.default == arguments[name].default
        assert field.description


def test_the_entry_point_of_a_distribution_is_found(install) -> None:
    """The entry says which distribution it comes from."""
    install("penstock-one", "mod_one", GOOD, one="one")
    assert find_adapter("one").origin == "penstock-one 1.0"
    assert names() == sorted([*BUILT_IN, "one"])
    assert find_adapters()[1] == []


def test_an_unknown_name_lists_the_known_ones(install) -> None:
    """The message has every known name; nothing is loaded for it."""
    install("penstock-one", "mod_unloaded", "raise RuntimeError('loaded')", one="one")
    known = ", ".join(sorted([*BUILT_IN, "one"]))
    with pytest.raises(AdapterError, match=f"no adapter 'on'; the known adapters are: {known}$"):
        find_adapter("on")


@pytest.mark.parametrize(
    ("source", "attribute", "error"),
    [
        ("import no_such_module_anywhere", "one", "cannot be loaded: ModuleNotFoundError: No module named"),
        ("raise SystemExit('bye')", "one", "cannot be loaded: SystemExit: bye"),
        (GOOD, "missing", "cannot be loaded: AttributeError"),
        (GOOD, "number", "must name an AdapterEntry, not int"),
        (GOOD, "two", "names the adapter 'two'"),
        (GOOD.replace("settings=Settings", "settings=dict"), "one", "must be a pydantic model class"),
        (GOOD.replace("    pass", "    x: type(print)", 1), "one", "cannot be loaded: Pydantic"),
    ],
)
def test_a_broken_entry_point_does_not_stop_the_others(
    install, request: pytest.FixtureRequest, source: str, attribute: str, error: str
) -> None:
    """The error names the entry point, its distribution and the cause."""
    module = f"mod_broken_{abs(hash(request.node.name))}"
    install("penstock-broken", module, source, one=attribute)
    install("penstock-two", f"{module}_two", GOOD, two="two")
    entries, problems = find_adapters()
    assert [entry.name for entry in entries] == sorted([*BUILT_IN, "two"])
    (problem,) = map(str, problems)
    assert f"the entry point one = {module}:{attribute} of penstock-broken 1.0" in problem
    assert error in problem
    with pytest.raises(AdapterError, match="penstock-broken"):
        find_adapter("one")
    assert find_adapter("two").name == "two"


def test_two_distributions_with_one_name_are_both_refused(install) -> None:
    """Which of them runs must not depend on the order of the path."""
    install("penstock-a", "mod_a", GOOD, one="one")
    install("penstock-b", "mod_b", GOOD, one="one")
    with pytest.raises(AdapterError, match=r"penstock-\w 1.0 and penstock-\w 1.0 each have an adapter 'one'"):
        find_adapter("one")
    entries, problems = find_adapters()
    assert ([entry.name for entry in entries], len(problems)) == ([*BUILT_IN], 1)


def test_a_built_in_name_is_not_replaced(install) -> None:
    """The other entry point is reported and never loaded."""
    install("penstock-other", "mod_other", "raise RuntimeError('loaded')", pubmed="one")
    entries, problems = find_adapters()
    assert [entry.origin for entry in entries] == ["penstock (built in)"] * len(BUILT_IN)
    (problem,) = map(str, problems)
    assert "of penstock-other 1.0 is ignored" in problem


def test_settings_must_be_a_model() -> None:
    """An entry refuses another class when it is built."""
    with pytest.raises(TypeError, match="pydantic"):
        AdapterEntry(
            name="x",
            description="",
            inputs=None,
            settings=dict,  # type: ignore[type-var]
            build=lambda inputs, settings: pubmed("a"),
            replay=lambda: pubmed("a"),
        )
