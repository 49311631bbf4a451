"""``serve``: the application in a server of its own."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from penstock.errors import GraphError, MissingExtra
from penstock.http.application import HOSTS, application
from penstock.http.limits import Limits

if TYPE_CHECKING:
    from penstock.pipeline import Hook

SEND_BUFFER: Final = 1 << 17
"""Bytes that the system holds for a client that does not read; Linux takes twice as many."""
_GRACE: Final = 5
"""Seconds until connections that do not end are closed."""
_OTHER_FILES: Final = 512


def serve(
    pipelines: Iterable[str | os.PathLike[str]],
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    state: str | os.PathLike[str] | None = None,
    token: str | None = None,
    limits: Limits = Limits(),  # noqa: B008  frozen
    hooks: Sequence[Hook] = (),
    resume: bool = True,
    on_start: Callable[[str], object] = lambda _: None,
) -> None:
    """Serve pipelines until Ctrl-C or SIGTERM. See `application` for the other arguments.

    Args:
        host: The address to listen at. Another one than those of this machine needs a token.
        port: The port; 0 chooses one.
        on_start: Called with the URL, when clients can connect.

    Raises:
        MissingExtra: Starlette or uvicorn is not installed.
        GraphError: the address needs a token.
        PenstockError: another server uses the state folder.
        OSError: the address cannot be used.
    """
    if token is None and not is_loopback(host):
        raise GraphError(
            f"whoever can reach {host} could start pipelines: give a token (--token-file, or the environment "
            "variable PENSTOCK_HTTP_TOKEN)"
        )
    try:
        import uvicorn

        from penstock.http.ending import EndingServer
    except ImportError as error:
        raise MissingExtra("penstock serve", "http") from error
    hosts = None if token is not None else {*HOSTS, _written(host)}
    app = application(
        pipelines, state=state, token=token, hosts=hosts, limits=limits, hooks=hooks, resume=resume
    )

    listener = listener_at(host, port, limits)
    config = uvicorn.Config(
        app, lifespan="off", log_level="warning", access_log=False, server_header=False,
        limit_concurrency=limits.connections, timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=int(min(limits.idle_seconds, 30)),
    )  # fmt: skip
    _allow_files(limits.connections + _OTHER_FILES)
    with listener:
        url = f"http://{_written(host)}:{listener.getsockname()[1]}"
        EndingServer(config, app.state.penstock, lambda: on_start(url)).run([listener])


def _allow_files(count: int) -> None:
    """Raise the soft limit of open files, as far as the hard limit allows: each connection is one."""
    if os.name != "posix":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _written(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def listener_at(host: str, port: int, limits: Limits) -> socket.socket:
    """Return a listening socket. Connections inherit its bounds."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)  # of TCP, else asyncio does not set TCP_NODELAY
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # a client that takes nothing: the system ends the connection
            milliseconds = int(limits.idle_seconds * 1000)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        listener.bind(address)
    except BaseException:
        listener.close()
        raise
    return listener
