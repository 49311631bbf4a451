"""How requests reach the network: secrets join them at the last moment, and private addresses are refused."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

import httpcore2
import httpx2

from penstock.adapters.http.error import HttpError
from penstock.adapters.http.hosts import Hosts, is_local, is_private

if TYPE_CHECKING:
    from penstock.adapters.http.secret import Secrets

WITH_SECRETS = "penstock.with_secrets"
"""The extension of a request that gets the secrets of its client."""

_CONNECTIONS = 100
_KEPT = 20
_KEPT_FOR = 5.0


class SecretTransport(httpx2.AsyncBaseTransport):
    """Adds the secrets of a client to a copy of each request, so that no error and no log holds them."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, secrets: Secrets) -> None:
        self._inner = inner
        self._secrets = secrets

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request with secrets, if it is marked with the extension."""
        if request.extensions.pop(WITH_SECRETS, False) and self._secrets:
            url = request.url.copy_merge_params(self._secrets.params)
            headers = request.headers.copy()
            headers.update(self._secrets.headers)
            request = httpx2.Request(
                request.method, url, headers=headers, stream=request.stream, extensions=request.extensions
            )
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


@cache
def _trusted() -> ssl.SSLContext:
    """Return the authorities that are trusted; reading them takes 30 ms."""
    return httpx2.create_ssl_context()


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """The transport of httpx2 whose connections refuse private addresses.

    The constructor of httpx2 takes no network backend, the pool of httpcore2 does.
    """

    def __init__(self, hosts: Hosts) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=_trusted(),
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_KEPT,
            keepalive_expiry=_KEPT_FOR,
            network_backend=GuardedBackend(hosts),
        )


class Network(httpx2.AsyncBaseTransport):
    """Sends through the proxy that the environment names (``HTTPS_PROXY``, ``NO_PROXY``), or directly.

    A proxy looks up names itself, so it decides whether a name with a private address is connected to.
    """

    def __init__(self, hosts: Hosts) -> None:
        self._direct = GuardedTransport(hosts)
        self._proxies = getproxies()
        self._through: dict[str, httpx2.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See the base."""
        return await self._way(request.url.scheme, request.url.host).handle_async_request(request)

    def _way(self, scheme: str, host: str) -> httpx2.AsyncHTTPTransport:
        proxy = self._proxies.get(scheme) or self._proxies.get("all")
        if not proxy or is_local(host) or proxy_bypass(host):
            return self._direct
        if proxy not in self._through:
            url = proxy if "://" in proxy else f"http://{proxy}"
            self._through[proxy] = httpx2.AsyncHTTPTransport(proxy=httpx2.Proxy(url))
        return self._through[proxy]

    async def aclose(self) -> None:
        """Close all connections."""
        for one in (self._direct, *self._through.values()):
            await one.aclose()


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Checks the addresses of a name before it connects, and the connected address before it sends."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._inner: Any = httpcore2.AnyIOBackend()  # its type is there only if anyio is

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to ``host``, or raise ``HttpError`` if one of its addresses is private."""
        guarded = not self._hosts.may_be_private(host)
        if guarded:
            for address in await _addresses(host, port, timeout):
                _refuse(host, address)
        stream: httpcore2.AsyncNetworkStream = await self._inner.connect_tcp(
            host, port, timeout, local_address, socket_options
        )
        if guarded:
            try:
                _refuse(host, str(stream.get_extra_info("server_addr")[0]))
            except HttpError:
                await stream.aclose()
                raise
        return stream

    async def sleep(self, seconds: float) -> None:
        """See the base."""
        await asyncio.sleep(seconds)


async def _addresses(host: str, port: int, timeout: float | None) -> list[str]:
    """Return the addresses of a host; none if it has none, which the connection finds out again."""
    try:
        async with asyncio.timeout(timeout):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise httpcore2.ConnectTimeout(f"no address of {host} found in {timeout:g} s") from error
    except OSError:
        return []
    return [str(address[0]) for *_, address in found]


def _refuse(host: str, address: str) -> None:
    if is_private(address):
        where = address if address == host else f"{host} has the private address {address}"
        raise HttpError(f"{where}: not connected; allow it with private=True", host=host)
