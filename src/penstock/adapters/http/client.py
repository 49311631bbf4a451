"""``HttpClient``: requests within the limits of each host, whose errors say whether to try again."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.abc import announce
from penstock.adapters.http.answer import Answer
from penstock.adapters.http.body import ENCODINGS
from penstock.adapters.http.budgets import budget_of
from penstock.adapters.http.cache import MAX_BYTES as CACHE_BYTES
from penstock.adapters.http.cache import Cache
from penstock.adapters.http.download import LONGEST as LONGEST_DOWNLOAD
from penstock.adapters.http.download import MAX_BYTES as LARGEST_FILE
from penstock.adapters.http.download import download
from penstock.adapters.http.error import HttpError
from penstock.adapters.http.hosts import Hosts, host_in, is_local, shown
from penstock.adapters.http.limits import published
from penstock.adapters.http.secret import Secret, Secrets, without_secrets
from penstock.errors import MissingExtra
from penstock.runtime.arguments import positive, seconds_for
from penstock.runtime.libraries import RETRYABLE_STATUSES as RETRYABLE
from penstock.text import plural

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
    from types import TracebackType
    from typing import Self

    from penstock.adapters.http.exchange import Ask, Exchange

__all__ = ["RETRYABLE", "HttpClient"]

T = TypeVar("T")

MAX_BYTES = 256 * 1024 * 1024
"""The largest body that is read into memory, unless another limit is given."""

_NOTED = 1.0
"""A budget's wait of more than this many seconds is announced."""

_CONCURRENCY = 32

UNCHANGED = 304


class HttpClient:
    """A client for one run: ``async with HttpClient(hosts=["api.fda.gov"]) as http: await http.get(url)``.

    It does not retry. Its errors say whether another attempt may succeed and after which wait, and the run's
    `RetryPolicy` decides: the event stage of an adapter goes on from the last page, and tells it by events.

    Requests to a host begin evenly spaced, at the rate that the host publishes (``limits.py``), or at 10 per
    second; all clients on one event loop share that. A ``Retry-After`` holds back all requests to its host.
    A host with a private address has no limit unless ``rate`` gives one.

    The proxies that the environment names (``HTTPS_PROXY``, ``NO_PROXY``) are used.

    Args:
        hosts: The servers that may be asked, also by redirects: ``api.fda.gov``, ``*.cdc.gov``, or URLs.
            Without it every server may be asked, and redirects must stay on the same one.
        headers: Headers of every request.
        secret_params: Secret parameters of every request, by name: texts or ``SecretStr``; ``None`` values
            are left out. They appear in no message, event, position or cache.
        secret_headers: The same for headers, such as ``Authorization``.
        rate: Requests per second by host, instead of the published rate; ``"*"`` is for all other hosts.
        timeout: Seconds to connect, and to wait for each piece of an answer.
        longest: Seconds for an answer as a whole, against servers that send a byte now and then.
        max_bytes: The largest body, decompressed.
        redirects: How many redirects one request may follow.
        private: Whether private addresses may be asked. A private address or ``localhost`` that ``hosts``
            names may be asked anyway, and so may the first host without ``hosts``.
        cache: A folder. Answers with ``ETag`` or ``Last-Modified`` are kept there, and from then on the
            server is only asked whether they have changed.
        cache_bytes: How much the folder may hold; the answers that were not used for longest are removed.
        transport: A transport of httpx2 in place of the network, for tests.
    """

    def __init__(
        self,
        *,
        hosts: Iterable[str] | None = None,
        headers: Mapping[str, str] | None = None,
        secret_params: Secret | None = None,
        secret_headers: Secret | None = None,
        rate: Mapping[str, float] | None = None,
        timeout: float = 30.0,
        longest: float = 300.0,
        max_bytes: int = MAX_BYTES,
        redirects: int = 5,
        private: bool = False,
        cache: str | Path | None = None,
        cache_bytes: int = CACHE_BYTES,
        transport: Any = None,
    ) -> None:
        seconds_for("HttpClient", "timeout", timeout)
        seconds_for("HttpClient", "longest", longest)
        for per_second in (rate or {}).values():
            seconds_for("HttpClient", "rate", per_second)
        positive("HttpClient", "max_bytes", max_bytes)
        positive("HttpClient", "redirects", redirects, least=0)
        try:
            import httpx2

            from penstock.adapters.http import exchange
            from penstock.adapters.http import transport as transports
        except ImportError as error:
            raise MissingExtra("HttpClient", "http") from error
        self._exchange = exchange
        self._hosts = Hosts(hosts, private=private)
        self._secrets = Secrets()
        self._secrets.add(secret_params, secret_headers)
        self._rate = {host_in(host): per_second for host, per_second in (rate or {}).items()}
        self._redirects = redirects
        self._cache = None if cache is None else Cache(Path(cache), cache_bytes)
        self._mark = transports.WITH_SECRETS
        self._defaults = exchange.Ask(
            method="GET",
            url="",
            timeout=timeout,
            longest=longest,
            max_bytes=max_bytes,
            headers=dict(headers or {}),
        )
        inner = transport or transports.Network(self._hosts)
        self._client = httpx2.AsyncClient(
            headers={"accept-encoding": ENCODINGS, "user-agent": "penstock"},
            transport=transports.SecretTransport(inner, self._secrets),
        )
        self._httpx2 = httpx2

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    def add_secrets(self, *, params: Secret | None = None, headers: Secret | None = None) -> None:
        """Add secrets of all requests from now on, such as a token that a server gave."""
        self._secrets.add(params, headers)

    # -- asking ----------------------------------------------------------------------------------

    async def get(self, url: str, params: Mapping[str, Any] | None = None, **options: Any) -> Answer:
        """Ask for ``url``; see ``request``."""
        return await self.request("GET", url, params=params, **options)

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        allow: Collection[int] = (),
        max_bytes: int | None = None,
        timeout: float | None = None,
        longest: float | None = None,
        **options: Any,
    ) -> Answer:
        """Send a request and read its answer.

        Args:
            method: ``GET``, ``POST`` and so on.
            url: With or without parameters of its own.
            params: Parameters; a list is repeated, and ``None`` is left out.
            headers: Headers of this request.
            allow: Status codes that are answers although they are errors, for instance 404.
            max_bytes: The largest body, decompressed.
            timeout: Seconds to connect, and to wait for each piece of the answer.
            longest: Seconds for the answer as a whole.
            options: ``json``, ``data`` or ``content``, as httpx2 takes them.

        Raises:
            HttpError: there is no answer, or the answer is an error.
        """
        ask = self._ask(
            method, url, params, headers, options,
            allow=allow, max_bytes=max_bytes, timeout=timeout, longest=longest,
        )  # fmt: skip
        if self._cache is not None and ask.method == "GET" and "if-none-match" not in ask.headers:
            return await self._through(self._cache, ask)
        return await self.exchange(ask, self._answer)

    async def gather(
        self,
        requests: Iterable[str | tuple[str, Mapping[str, Any]]],
        *,
        concurrency: int = _CONCURRENCY,
        **options: Any,
    ) -> list[Answer]:
        """Ask for several URLs at a time, and return their answers in the order of the URLs.

        The budget of the host spaces the requests, so a large ``concurrency`` only hides how long each answer
        takes. The first error cancels the others.

        Args:
            requests: URLs, or pairs of a URL and parameters.
            concurrency: How many requests may be under way at a time.
            options: As for ``request``.
        """
        asked = [(one, None) if isinstance(one, str) else one for one in requests]
        answers: list[Answer | None] = [None] * len(asked)
        numbered = iter(enumerate(asked))

        async def work() -> None:
            for index, (url, params) in numbered:
                answers[index] = await self.get(url, params, **options)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(concurrency, len(asked))):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [answer for answer in answers if answer is not None]

    async def download(
        self,
        url: str,
        path: str | Path,
        params: Mapping[str, Any] | None = None,
        *,
        checksum: str | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = LARGEST_FILE,
        timeout: float | None = None,
        longest: float = LONGEST_DOWNLOAD,
    ) -> Path:
        """Write a body into a file, and return its path.

        The file appears once it is complete. Until then ``NAME.part`` holds what has arrived. The next call
        asks only for the rest, if the server supports that and its file is still the same.

        Args:
            url: With or without parameters of its own.
            path: The file; its folder must exist. A file that is there is replaced.
            params: Parameters, as for ``request``.
            checksum: What the file must have, as ``md5:…``, ``sha1:…``, ``sha256:…`` or ``sha512:…``.
            headers: Headers of this request.
            max_bytes: The largest file.
            timeout: Seconds to connect, and to wait for each piece.
            longest: Seconds for this call. A server that sends fewer than 1,000 bytes a second for a minute
                is given up earlier.

        Raises:
            HttpError: the file is not complete, or not what ``checksum`` says. The former keeps what arrived.
        """
        ask = self._ask(
            "GET", url, params, headers, {}, max_bytes=max_bytes, timeout=timeout, longest=longest
        )
        return await download(self, ask, Path(path), checksum=checksum, max_bytes=max_bytes)

    def host_of(self, url: str) -> str:
        """Return the host of a URL that may be asked; otherwise raise ``HttpError``."""
        return self._hosts.allow(url)

    # -- below -----------------------------------------------------------------------------------

    def _ask(
        self, method: str, url: str, params: Mapping[str, Any] | None, headers: Mapping[str, str] | None,
        options: Mapping[str, Any], **changes: Any,
    ) -> Ask:  # fmt: skip
        given = {name: value for name, value in changes.items() if value is not None}
        if params:
            params = {name: value for name, value in params.items() if value is not None}
            try:
                url = str(self._httpx2.URL(url).copy_merge_params(params))
            except self._httpx2.InvalidURL as error:
                raise HttpError(f"{shown(url)} is no URL: {error}") from error
        merged = {**self._defaults.headers, **(headers or {})}
        return replace(self._defaults, method=method, url=url, headers=merged, options=options, **given)

    async def _through(self, cache: Cache, ask: Ask) -> Answer:
        """Ask whether the answer in the cache has changed; if there is none, keep the one that comes."""
        path = cache.path(ask.url, ask.headers)
        kept = await asyncio.to_thread(cache.load, path)
        if kept is not None:
            headers = {**ask.headers, **kept.conditions}
            ask = replace(ask, headers=headers, allow=(*ask.allow, UNCHANGED))
        answer = await self.exchange(ask, self._answer)
        if kept is not None and answer.status == UNCHANGED:
            return replace(answer, status=200, headers=kept.headers, content=kept.content, unchanged=True)
        await asyncio.to_thread(cache.store, path, answer.status, answer.headers, answer.content)
        return answer

    async def exchange(self, ask: Ask, use: Callable[[Exchange], Awaitable[T]]) -> T:
        """Send a request, follow redirects, and return what ``use`` makes of the answer.

        ``use`` gets an answer of success, or one with a status that ``ask.allow`` names.
        """
        came_from, host, with_secrets = None, "", True
        for _ in range(self._redirects + 1):
            host = self._hosts.allow(ask.url, came_from=came_from)
            with_secrets = with_secrets and self._hosts.has_secrets(host)
            await self._turn(host)
            extensions = {self._mark: True} if with_secrets else {}
            async with self._exchange.exchanging(self._client, ask, host, extensions) as exchange:
                target = exchange.redirect
                if target is None:
                    if exchange.status == UNCHANGED:
                        announce(f"304: {exchange.shown} has not changed")
                    if exchange.response.is_success or exchange.status in ask.allow:
                        return await use(exchange)
                    error = await exchange.failure()
                    self._hold(error)
                    raise error
            other = self._hosts.allow(target, came_from=ask.url) != host
            if other:
                with_secrets = False
            came_from, ask = ask.url, self._redirected(ask, exchange.status, target, other=other)
        raise HttpError(
            f"{shown(ask.url)}: more than {plural(self._redirects, 'redirect')}, the last of which led here",
            host=host,
            reason="too many redirects",
        )

    def _redirected(self, ask: Ask, status: int, target: str, *, other: bool) -> Ask:
        """Return the request that follows a redirect; to another host it takes no secret along."""
        if other and self._secrets.occur_in(target):
            raise HttpError(
                f"{shown(ask.url)} redirects a secret to another host: {shown(target)}", host=host_in(ask.url)
            )
        headers = without_secrets(ask.headers) if other else ask.headers
        if status in (307, 308) or ask.method in ("GET", "HEAD"):
            return replace(ask, url=target, headers=headers)
        return replace(ask, method="GET", url=target, headers=headers, options={})

    async def _turn(self, host: str) -> None:
        """Wait until the budget of the host allows a request."""
        per_second = self._rate.get(host, self._rate.get("*"))
        if per_second is None:
            per_second = math.inf if is_local(host) else published(host, keyed=bool(self._secrets))
        wait = await budget_of(host).turn(per_second)
        if wait.seconds > _NOTED:
            announce(f"waited {wait.seconds:.3g} s for {host}: {wait.reason}")

    async def _answer(self, exchange: Exchange) -> Answer:
        headers = exchange.headers.items()
        clean = self._secrets.removed_from
        return Answer(
            url=exchange.url,
            status=exchange.status,
            headers={name: clean(value.encode()).decode() for name, value in headers},
            content=clean(await exchange.body()),
        )

    def _hold(self, error: HttpError) -> None:
        if error.retry_after:
            budget_of(error.host).hold(error.retry_after, error.reason)
