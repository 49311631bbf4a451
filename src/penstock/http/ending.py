"""A server of uvicorn that ends streams and runs at the first signal."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from uvicorn import Config, Server

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

    from penstock.http.service import Service


class EndingServer(Server):
    """Tells the service to stop at SIGINT and SIGTERM; a second SIGINT ends the server at once.

    uvicorn alone would first wait for streams that have no end.

    Args:
        config: How to serve; without a lifespan.
        service: Entered before the server listens.
        on_start: Called when it listens.
    """

    def __init__(self, config: Config, service: Service, on_start: Callable[[], object]) -> None:
        super().__init__(config)
        self._service = service
        self._on_start = on_start
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal comes."""
        self._loop = asyncio.get_running_loop()
        async with self._service:
            await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end. The signal is not raised again: the process ends as usual."""
        del frame
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._service.stop)
