"""Which errors of other libraries are tried again, read from the libraries themselves."""

import socket
import ssl
import urllib.error
from email.message import Message
from http.client import IncompleteRead

import pytest

from penstock.errors import SourceError
from penstock.runtime.policy import RetryPolicy, is_retryable

LIMITED = {"Retry-After": "7"}


def check_httpx(httpx) -> None:
    request = httpx.Request("GET", "http://example.org")

    def answered(status):
        return httpx.HTTPStatusError("", request=request, response=httpx.Response(status, headers=LIMITED))

    for name in (
        "ConnectError",
        "ReadError",
        "ConnectTimeout",
        "ReadTimeout",
        "PoolTimeout",
        "RemoteProtocolError",
    ):
        assert is_retryable(getattr(httpx, name)("broken")), name
    for name in ("LocalProtocolError", "UnsupportedProtocol", "TooManyRedirects", "InvalidURL"):
        assert not is_retryable(getattr(httpx, name)("wrong")), name
    assert [is_retryable(answered(status)) for status in (429, 503, 404, 401)] == [True, True, False, False]
    assert RetryPolicy().wait(answered(429), 1) == 7
    distrusted = httpx.ConnectError("certificate")
    distrusted.__cause__ = ssl.SSLCertVerificationError()
    assert not is_retryable(distrusted)


@pytest.mark.parametrize("name", ["httpx2", "httpx"])
def test_httpx(name) -> None:
    """Lost connections, timeouts and the statuses of a busy server are retryable; a wrong request is not."""
    check_httpx(pytest.importorskip(name))


def test_aiohttp() -> None:
    """The same for aiohttp, whose refused certificates count as connection errors there and not here."""
    aiohttp = pytest.importorskip("aiohttp")
    key = aiohttp.client_reqrep.ConnectionKey("example.org", 443, True, True, None, None, None)
    for error in (
        aiohttp.ClientConnectorError(key, OSError("refused")),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ServerTimeoutError(),
        aiohttp.ClientPayloadError(),
    ):
        assert is_retryable(error), error
    assert not is_retryable(aiohttp.ClientConnectorCertificateError(key, ssl.SSLCertVerificationError()))
    assert not is_retryable(aiohttp.InvalidURL("x"))
    busy = aiohttp.ClientResponseError(None, (), status=429, headers=LIMITED)
    assert RetryPolicy().wait(busy, 1) == 7
    assert not is_retryable(aiohttp.ClientResponseError(None, (), status=404))


def test_requests_and_urllib3() -> None:
    """The same for requests, and for urllib3, which wraps the error that it gave up at."""
    requests = pytest.importorskip("requests")
    urllib3 = pytest.importorskip("urllib3")
    errors, below = requests.exceptions, urllib3.exceptions
    for error in (errors.ConnectionError(), errors.ReadTimeout(), errors.ChunkedEncodingError(),
                  below.ProtocolError(), below.NewConnectionError(None, ""),
                  below.MaxRetryError(None, "", below.ProtocolError())):  # fmt: skip
        assert is_retryable(error), error
    for error in (errors.SSLError(), errors.InvalidURL(), below.MaxRetryError(None, "", below.SSLError())):
        assert not is_retryable(error), error
    response = requests.Response()
    response.status_code, response.headers["Retry-After"] = 503, "7"
    assert RetryPolicy().wait(requests.HTTPError(response=response), 1) == 7


def test_grpc() -> None:
    """An unavailable or busy service is retryable, a refused argument is not."""
    grpc = pytest.importorskip("grpc")

    class Failed(grpc.RpcError):
        def __init__(self, code) -> None:
            self.code = lambda: code

    assert is_retryable(Failed(grpc.StatusCode.UNAVAILABLE))
    assert not is_retryable(Failed(grpc.StatusCode.INVALID_ARGUMENT))


def test_the_standard_library() -> None:
    """An error of urllib is judged by its reason or its status."""
    assert is_retryable(urllib.error.URLError(socket.gaierror()))
    assert is_retryable(urllib.error.URLError(TimeoutError()))
    assert not is_retryable(urllib.error.URLError(ssl.SSLCertVerificationError()))
    assert not is_retryable(urllib.error.URLError("unknown url type"))
    headers = Message()
    headers["Retry-After"] = "7"
    with urllib.error.HTTPError("http://example.org", 503, "", headers, None) as busy:
        assert RetryPolicy().wait(busy, 1) == 7
    assert is_retryable(IncompleteRead(b""))


def test_one_of_your_own() -> None:
    """A 429 of your own is one line, and a mark on any error beats what its class would say."""
    assert RetryPolicy().wait(SourceError("too many requests", retry_after=12), 1) == 12
    assert not is_retryable(SourceError("no such file"))
    lost = ConnectionError()
    lost.is_retryable = False
    assert not is_retryable(lost)
