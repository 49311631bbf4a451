"""``CuttingProxy`` passes connections on to a database, and cuts them."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

_CHUNK = 1 << 16
_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: closing resets the connection, as after a restart of the other machine."""


class CuttingProxy:
    """Passes TCP connections on to ``host:port``; clients connect to its own ``host`` and ``port``.

    ``with CuttingProxy("127.0.0.1", 5432) as proxy`` serves in threads during the block, so that clients
    may block, or run in an event loop.
    """

    host = "127.0.0.1"

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._mutex = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._budget: int | None = None
        self._refusing = False
        self._listener = socket.create_server((self.host, 0))
        self.port: int = self._listener.getsockname()[1]
        self.cuts = 0
        """How many connections were cut."""
        self.passed = 0
        """How many bytes clients sent."""

    def cut(self) -> None:
        """Cut every connection now."""
        with self._mutex:
            pairs, self._pairs = self._pairs, set()
            self.cuts += len(pairs)
        for pair in pairs:
            _reset(*pair)

    def cut_after(self, sent: int) -> None:
        """Cut every connection after ``sent`` more bytes from clients, for example within a statement."""
        with self._mutex:
            self._budget = sent

    def refuse(self) -> None:
        """Cut every connection, and every new one, until ``accept`` is called."""
        self._refusing = True
        self.cut()

    def accept(self) -> None:
        """Pass connections on again."""
        self._refusing = False

    def __enter__(self) -> Self:
        self._start(self._serve)
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for a client
        self._listener.close()
        self.cut()

    def _start(self, work: object, *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, name="penstock proxy", daemon=True).start()  # type: ignore[arg-type]

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            if self._refusing:
                _reset(client)
                continue
            try:
                server = socket.create_connection(self._target)
            except OSError:  # the database cannot be reached
                _reset(client)
                continue
            pair = (client, server)
            with self._mutex:
                self._pairs.add(pair)
            self._start(self._pass, pair, client, server)
            self._start(self._pass, pair, server, client)

    def _pass(
        self, pair: tuple[socket.socket, socket.socket], source: socket.socket, to: socket.socket
    ) -> None:
        """Pass on the bytes of one side, until it ends or is cut."""
        with contextlib.suppress(OSError):  # the connection was cut
            while data := source.recv(_CHUNK):
                if source is pair[0]:
                    data, over = self._spend(data)
                    if over:
                        to.sendall(data)
                        self.cut()
                        return
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
            return
        with self._mutex:
            known = pair in self._pairs
            self._pairs.discard(pair)
        if known:
            _reset(*pair)

    def _spend(self, data: bytes) -> tuple[bytes, bool]:
        """Return the part of ``data`` that may pass, and whether the connection ends after it."""
        with self._mutex:
            self.passed += len(data)
            if self._budget is None:
                return data, False
            allowed, self._budget = data[: self._budget], self._budget - len(data)
            if self._budget >= 0:
                return data, False
            self._budget = None
            return allowed, True


def _reset(*sockets: socket.socket) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            one.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits for this socket
        one.close()
