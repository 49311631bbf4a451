"""``--ledger postgresql://...``: the command line with a ledger on a server."""

from __future__ import annotations

from .conftest import article, articles, pmid


def test_a_ledger_in_postgresql(penstock, postgres_server):
    """Ingesting, resuming, status and replay work as with a file, and the password is never printed."""
    url = postgres_server.database()
    secret = url.replace("tester@", "tester:s3cr3t@")
    (penstock.folder / "one.xml").write_bytes(
        articles(*(article(pmid(n)) for n in range(1, 20)), article("<PMID></PMID>"))
    )
    first = penstock("ingest", "pubmed", "one.xml", "--to", "out.jsonl", "--ledger", secret, "--no-progress")
    assert first.returncode == 1, first.stderr
    assert "tester:***@127.0.0.1" in first.stdout
    assert len((penstock.folder / "out.jsonl").read_text().splitlines()) == 19
    again = penstock("ingest", "pubmed", "one.xml", "--to", "out.jsonl", "--ledger", secret)
    assert "already has all" in again.stdout + again.stderr
    status = penstock("status", secret)
    assert status.returncode == 0, status.stderr
    assert "pubmed: run 2 completed" in status.stdout
    assert "1 dead letter" in status.stdout
    listed = penstock("dead", "list", secret)
    assert "one.xml#" in listed.stdout
    replayed = penstock("dead", "replay", "out.jsonl", "--ledger", secret)
    assert "1 failed again" in replayed.stdout, replayed.stderr
    dropped = penstock("dead", "drop", secret, "--all")
    assert "dropped 1 dead letter" in dropped.stdout
    for ran in (first, again, status, listed, replayed, dropped):
        assert "s3cr3t" not in ran.stdout + ran.stderr
    assert [path.name for path in penstock.folder.glob("*ledger*")] == []


def test_two_ingestions_in_one_ledger(penstock, postgres_server):
    """Each has its own key; without one the second is refused, and the printed commands have the key."""
    ledger = postgres_server.database()
    (penstock.folder / "one.xml").write_bytes(articles(article(pmid(1)), article("<PMID></PMID>")))
    words = ("ingest", "pubmed", "one.xml", "--ledger", ledger, "--no-progress")
    assert penstock(*words, "--to", "a.jsonl").returncode == 1
    refused = penstock(*words, "--to", "b.jsonl")
    assert (refused.returncode, "key" in refused.stderr) == (2, True), refused.stderr
    done = penstock(*words, "--to", "b.jsonl", "--key", "other one")
    assert done.returncode == 1, done.stderr
    for what, says in (
        ("what failed", "one.xml#1"),
        ("try again", "1 failed again"),
        ("new files", "nothing"),
    ):
        command = done.stdout.split(f"{what}:")[1].split("\n", maxsplit=1)[0]
        assert says in penstock.shell(command).stdout
    assert "other one: run 3 completed" in penstock("status", ledger).stdout
