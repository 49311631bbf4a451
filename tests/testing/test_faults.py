"""The fault kit finds faults that were planted, and passes code without faults."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest

from penstock.abc import Commit
from penstock.document import Document
from penstock.errors import LedgerError, SinkError
from penstock.ledger import MemoryLedger
from penstock.sinks import JsonLinesSink, MemorySink
from penstock.system import DiskStorage
from penstock.testing import run
from penstock.testing.faults import (
    CuttingProxy,
    DamageUnnoticed,
    Different,
    Faults,
    FaultyLedger,
    FaultySink,
    FaultyStorage,
    FragileDisk,
    Killed,
    SmallDisk,
    cancel_everywhere,
    damage_and_read,
    kill_and_compare,
    kill_at,
    limited,
)

OUT = Path("/disk/out.jsonl")
DOCUMENTS = [Document(doc_id=f"d{n}", source="test") for n in range(3)]

COUNTING = """
import os, sys
path, durable = "out", {durable}
done = len(open(path).read().splitlines()) if os.path.exists(path) and durable else 0
with open(path, "a" if durable else "w" if {careful} else "a") as file:
    for n in range(done, 400):
        file.write(f"{{n:04}}\\n")
        file.flush()
        print(n, flush=True)
"""


def counting(*, durable, careful=False):
    """Return a command that counts; it continues, starts again, or (neither) writes everything twice."""
    code = COUNTING.format(durable=durable, careful=careful)
    return lambda _: [sys.executable, "-c", code]


def output(folder):
    return (folder / "out").read_bytes()


@pytest.mark.parametrize("options", [{"durable": True}, {"durable": False, "careful": True}])
def test_a_command_that_survives_kills(tmp_path, options):
    """A command that continues, and one that starts again, leave the same as an undisturbed run."""
    done = kill_and_compare(counting(**options), output, tmp_path, kills=4, seed=3)
    assert done.kills == 4
    assert done.processes > done.jobs >= 1


def test_a_command_that_does_not_survive_kills(tmp_path):
    """A command that writes everything twice is found."""
    with pytest.raises(Different, match=r"job\d+ \(seed 0\) has .*; undisturbed it is"):
        kill_and_compare(counting(durable=False), output, tmp_path, kills=6)


def test_a_command_that_fails_is_reported(tmp_path):
    """The message has the command's own output."""
    with pytest.raises(AssertionError, match="no such luck"):
        kill_and_compare(
            lambda _: [sys.executable, "-c", "raise SystemExit('no such luck')"], output, tmp_path
        )


def test_killing_at_a_line(tmp_path):
    """The process has printed the requested number of lines, and did not end by itself."""
    code = "import itertools\nfor n in itertools.count(): print(n, flush=True)"
    ended = kill_at([sys.executable, "-c", code], 3, signal=signal.SIGTERM, folder=tmp_path)
    assert (ended.code, ended.signalled) == (-signal.SIGTERM, True)
    assert ended.lines[:3] == ["0\n", "1\n", "2\n"]


# -- faults by number


async def committed(storage):
    sink = JsonLinesSink(OUT, storage=storage)
    await sink.open(None)
    await sink.commit(Commit(1, {}))
    await sink.write(DOCUMENTS)
    await sink.commit(Commit(2, {}))
    await sink.aclose()


async def test_calls_of_a_storage_are_counted_and_one_fails():
    """Every writing call has a number and a name; the chosen call raises the chosen error."""
    counted = Faults()
    await committed(FaultyStorage(FragileDisk(), counted))
    assert counted.log == ["fsync_folder", "fsync", "write", "fsync"]
    full = Faults(at=2, kill=False, code=errno.ENOSPC)
    disk = FragileDisk()
    with pytest.raises(SinkError, match="the disk is full"):
        await committed(FaultyStorage(disk, full))
    assert disk.durable(OUT) == b""


async def test_only_some_calls_and_every_so_many():
    """``only`` counts calls of one name; ``every=2`` makes each second one fail."""
    faults = Faults(every=2, only={"fsync"}, kill=False)
    with pytest.raises(SinkError, match="input/output error"):
        await committed(FaultyStorage(FragileDisk(), faults))
    assert faults.log == ["fsync", "fsync"]


def test_a_killed_storage_does_nothing_more(tmp_path):
    """After the call that kills, no call has an effect."""
    storage = FaultyStorage(DiskStorage(), Faults(at=1))
    file = storage.open(tmp_path / "a", create=True)
    file.append(b"written")
    with pytest.raises(Killed):
        file.append(b"lost")
    with pytest.raises(Killed):
        storage.remove(tmp_path / "a")
    file.close()
    assert (tmp_path / "a").read_bytes().startswith(b"written")


async def test_a_sink_and_a_ledger_fail_before_or_after():
    """With ``after`` the call has its effect first; then the next call works, unless the process was killed."""
    inner = MemorySink()
    sink = FaultySink(inner, Faults(at=1, kill=False, after=True))
    await sink.open(None)
    with pytest.raises(SinkError, match=r"sink\.write failed, as planned"):
        await sink.write(DOCUMENTS)
    assert (len(inner.documents), sink.describe()) == (3, inner.describe())
    await sink.commit(Commit(1, {}))
    for faults, error in ((Faults(at=0, kill=False), LedgerError), (Faults(at=0), Killed)):
        with pytest.raises(error):
            await FaultyLedger(MemoryLedger(), faults).open("k")
    assert (sink.transactional, sink.effectively_once) == (inner.transactional, inner.effectively_once)


@pytest.mark.parametrize("kill", [True, False])
async def test_a_call_that_fails_by_itself_is_killed_too(kill):
    """With ``after`` a call may raise before it is killed; a killed process does not see that error."""

    def failing():
        raise KeyError

    async def failing_later():
        raise KeyError

    error = Killed if kill else KeyError
    with pytest.raises(error):
        Faults(at=0, kill=kill, after=True).call("update", failing)
    with pytest.raises(error):
        await Faults(at=0, kill=kill, after=True).around("open", LedgerError, failing_later)


# -- a fragile disk


def left(use, path=OUT):
    """Return the different contents that 200 power cuts leave; ``None`` means no file."""
    found = set()
    for seed in range(200):
        disk = FragileDisk(seed)
        use(disk, disk.open(path, create=True))
        disk.cut_power()
        names = disk.names(path.parent)
        found.add(disk.content(path) if path.name in names else None)
    return found


def test_fsynced_data_stays():
    """When file and folder were fsynced, the content is there under every seed."""

    def use(disk, file):
        file.append(b"safe")
        file.fsync()
        disk.fsync_folder(OUT.parent)

    assert left(use) == {b"safe"}


def test_data_without_fsync_may_be_lost_in_many_ways():
    """A power cut may lose the name, the bytes, or a part of them, or leave zeros."""
    found = left(lambda _, file: file.append(b"unsafe"))
    assert {None, b"", b"unsafe", bytes(6)} <= found


def test_a_rename_is_done_or_undone_and_never_both():
    """Without ``fsync_folder`` the file always has exactly one of its two names."""
    seen = set()
    for seed in range(60):
        disk = FragileDisk(seed)
        for name, content in (("new", b"new"), ("old", b"old")):
            file = disk.open(OUT.with_name(name), create=True)
            file.append(content)
            file.fsync()
        disk.fsync_folder(OUT.parent)
        disk.rename(OUT.with_name("new"), OUT.with_name("old"))
        disk.cut_power()
        seen.add(tuple((name, disk.durable(OUT.with_name(name))) for name in disk.names(OUT.parent)))
    assert seen == {(("new", b"new"), ("old", b"old")), (("old", b"new"),)}


# -- damage


async def test_unnoticed_damage_is_reported(tmp_path):
    """A reader without a checksum is found, and the message has the seed."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_bytes(b"precious")

    async def read(path):
        return path.read_bytes()

    with pytest.raises(DamageUnnoticed, match=r"seed \d+: file was damaged, and read as"):
        await damage_and_read(tmp_path / "kept", "file", read, lambda data: data == b"precious", times=20)


async def test_a_refusal_names_the_file(tmp_path):
    """A refusal that does not name the file is a failure."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_bytes(b"precious")

    async def refuse(path):
        raise LedgerError(f"{path} is damaged" if clear else "something is wrong")

    clear = True
    damages = await damage_and_read(tmp_path / "kept", "file", refuse, bool, times=5)
    assert (damages.refused, damages.right) == (5, 0)
    clear = False
    with pytest.raises(DamageUnnoticed, match="should name the file"):
        await damage_and_read(tmp_path / "kept", "file", refuse, bool, times=5)


# -- full disks


def test_a_limit_on_the_size_of_files(tmp_path):
    """A write beyond the limit fails with EFBIG; the process goes on."""
    code = (
        "import errno\ntry:\n"
        "  with open('f', 'wb', buffering=0) as file:\n    file.write(bytes(5000)); file.write(b'x')\n"
        "except OSError as error:\n  print(errno.errorcode[error.errno])"
    )
    ended = kill_at(limited([sys.executable, "-c", code], 4096), folder=tmp_path)
    assert (ended.lines, ended.code) == (["EFBIG\n"], 0)
    assert (tmp_path / "f").stat().st_size == 4096


def test_a_small_disk_is_soon_full():
    """A write fails with ENOSPC, and written data stays."""
    try:
        with SmallDisk(1 << 16) as path:
            fill(path / "f")
            assert 0 < (path / "f").stat().st_size <= 1 << 16
    except OSError as error:
        pytest.skip(f"no small disk here: {error}")
    assert not path.exists()


def fill(path):
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file:
        for _ in range(100):
            try:
                file.write(bytes(4096))
            except OSError as error:
                assert error.errno == errno.ENOSPC
                return
    raise AssertionError("there was room for everything")


# -- cancelling


def test_cancelling_at_every_await():
    """Each await of the coroutine is cancelled once, and the check runs after each."""
    opened, closed = [], []

    async def careful():
        opened.append(1)
        try:
            await asyncio.sleep(1)
            await asyncio.sleep(0)
        finally:
            closed.append(1)
        return "done"

    async def balanced():
        assert len(opened) == len(closed)

    assert run(cancel_everywhere(careful, balanced)) == 2
    assert len(opened) == 3


def test_a_swallowed_cancellation_is_reported():
    """A coroutine that goes on after its cancellation is found."""

    async def deaf():
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            return

    with pytest.raises(AssertionError, match="at await 0 was swallowed"):
        run(cancel_everywhere(deaf))


def test_a_real_sink_may_be_cancelled_everywhere(tmp_path):
    """Cancelling a JSON Lines sink leaves its file unlocked, with the committed lines."""
    path = tmp_path / "out.jsonl"
    sinks = []

    async def write():
        sink = JsonLinesSink(path)
        sinks.append(sink)
        try:
            await sink.open(None, restart=True)
            await sink.commit(Commit(1, {}))
            await sink.write(DOCUMENTS)
            await sink.commit(Commit(2, {}))
        finally:
            await sink.aclose()

    async def whole():
        await sinks[-1].aclose()  # a cancelled call goes on in the background: wait for it
        lines = path.read_bytes().splitlines() if path.exists() else []
        assert len(lines) in (0, 3)

    assert asyncio.run(cancel_everywhere(write, whole)) >= 4


# -- a proxy


@pytest.fixture
def echo():
    """Return the port of a server that sends everything back."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client):
        with client:
            try:
                while data := client.recv(4096):
                    client.sendall(data)
            except OSError:
                pass

    def listen():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def talk(client, data):
    """Send data, and return the answer; nothing if the connection was cut."""
    try:
        client.sendall(data)
        return client.recv(4096)
    except OSError:
        return b""


def test_a_proxy_cuts_connections(echo):
    """It cuts at once, or after some bytes; a new connection works, unless the proxy refuses it."""
    with CuttingProxy("127.0.0.1", echo) as proxy:
        where = (proxy.host, proxy.port)
        with socket.create_connection(where) as client:
            assert talk(client, b"hello") == b"hello"
            proxy.cut()
            assert talk(client, b"again") == b""
        with socket.create_connection(where) as client:
            assert talk(client, b"hello") == b"hello"
            proxy.cut_after(3)
            client.sendall(b"four")
            heard = b""
            while data := talk_on(client):
                heard += data
            assert b"fou".startswith(heard)
        proxy.refuse()
        with socket.create_connection(where) as client:
            assert talk(client, b"hello") == b""
        proxy.accept()
        with socket.create_connection(where) as client:
            assert talk(client, b"hello") == b"hello"
        assert proxy.cuts == 2
    with pytest.raises(OSError):
        socket.create_connection(where)


def talk_on(client):
    try:
        return client.recv(4096)
    except OSError:
        return b""


def test_a_proxy_without_a_server_cuts_the_connection():
    """Without a server behind it, the proxy cuts the connection."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        CuttingProxy("127.0.0.1", port) as proxy,
        socket.create_connection((proxy.host, proxy.port)) as client,
    ):
        assert talk(client, b"hello") == b""
