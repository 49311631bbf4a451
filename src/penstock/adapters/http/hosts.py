"""The servers that a client may talk to, and the addresses that it may not connect to."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from penstock.adapters.http.error import HttpError
from penstock.redact import redact
from penstock.text import shorten

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_URL = 300


def shown(url: object) -> str:
    """Return a URL for messages: without secrets, and not too long."""
    return shorten(redact(str(url)), _URL)


def is_private(address: str) -> bool:
    """Whether an IP address is private, loopback, link-local, or otherwise not one of the internet."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            ip = inner
    return not ip.is_global or ip.is_multicast


def is_local(host: str) -> bool:
    """Whether a host is itself a private address, or the name of this machine."""
    return is_private(host) or host == "localhost" or host.endswith(".localhost")


class Hosts:
    """Decides whether a URL may be asked.

    Without names, every server of the internet may be asked, but redirects stay on the host that was asked.
    A private address may be asked if ``private``, or if it is one of the names itself (``localhost``,
    ``192.168.0.7``). Without names, the host of the first URL counts as one.
    """

    def __init__(self, names: Iterable[str] | None, *, private: bool) -> None:
        given = [names] if isinstance(names, str) else names
        self._names = None if given is None else [host_in(name) for name in given]
        self._private = private
        self._first: str | None = None

    def allow(self, url: str, *, came_from: str | None = None) -> str:
        """Return the host of ``url``, which is a redirect if it ``came_from`` another URL; or raise.

        Raises:
            HttpError: the URL must not be asked.
        """
        scheme, host = _split(url)
        before, asked = _split(came_from) if came_from else ("", host)
        if wrong := self._wrong(scheme, host, before, asked if came_from else None):
            where = f"{shown(came_from)} redirects to {shown(url)}, which" if came_from else shown(url)
            raise HttpError(f"{where} {wrong}", host=asked)
        return host

    def _wrong(self, scheme: str, host: str, before: str, asked: str | None) -> str:
        """Return why a URL must not be asked, or nothing; ``asked`` is the host that redirects to it."""
        if scheme not in ("http", "https") or not host:
            return "is no URL of http or https"
        if scheme == "http" and before == "https":
            return "is not encrypted any more"
        if self._names is None:
            self._first = self._first or host
            if asked is not None and host != asked:
                return "is another host; allow it with hosts="
        elif not any(_matches(host, name) for name in self._names):
            return f"is not on the list of hosts: {', '.join(self._names)}"
        if is_local(host) and not self.may_be_private(host):
            return "is a private address; allow it with private=True"
        return ""

    def may_be_private(self, host: str) -> bool:
        """Whether ``host`` may have a private address."""
        if self._private:
            return True
        named = host in self._names if self._names is not None else host == self._first
        return named and is_local(host)

    def has_secrets(self, host: str) -> bool:
        """Whether requests to ``host`` carry the secrets of the client."""
        return host == self._first if self._names is None else True


def _split(url: str) -> tuple[str, str]:
    """Return the scheme and the host of a URL; both are empty if it is none."""
    try:
        parts = urlsplit(url)
        return parts.scheme, (parts.hostname or "").rstrip(".").lower()
    except ValueError:
        return "", ""


def host_in(name: str) -> str:
    """Return the host that a name, a pattern or a URL means."""
    host = urlsplit(name).hostname if "://" in name else name
    return (host or "").rstrip(".").lower()


def _matches(host: str, name: str) -> bool:
    return host.endswith(name[1:]) if name.startswith("*.") else host == name
