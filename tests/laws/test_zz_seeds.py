import os, pytest
from .entries_combine import ENTRIES
from penstock.testing.laws.racing import racing


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_many(entry):
    racing(entry.subject, seeds=int(os.environ["SEEDS"]), skip=entry.skip)
