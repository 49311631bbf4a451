"""What the errors of other libraries say: whether another attempt may succeed, and after which wait.

No library is imported. An error is recognised by the names of its classes, together with the package that
defines them; each class is looked up once.
"""

from __future__ import annotations

import ssl
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Any, cast

from penstock.runtime.retry_after import retry_after_in

RETRYABLE_STATUSES = frozenset({408, 425, 429, *range(500, 600)}) - {501, 505}
"""The status codes of HTTP after which another attempt may succeed: not if the server lacks the function."""

_LOST = True
_FINAL = False

_HTTPX = {
    "TimeoutException": _LOST,
    "NetworkError": _LOST,
    "RemoteProtocolError": _LOST,
    "ProxyError": _LOST,
    "DecodingError": _LOST,
}

KINDS: Mapping[str, Mapping[str, bool]] = {
    "httpx": _HTTPX,
    "httpx2": _HTTPX,
    "httpcore": _HTTPX,
    "httpcore2": _HTTPX,
    "aiohttp": {
        "ClientConnectorCertificateError": _FINAL,
        "ServerFingerprintMismatch": _FINAL,
        "ClientConnectionError": _LOST,
        "ClientPayloadError": _LOST,
    },
    "requests": {
        "SSLError": _FINAL,
        "ConnectionError": _LOST,
        "Timeout": _LOST,
        "ChunkedEncodingError": _LOST,
        "ContentDecodingError": _LOST,
    },
    "urllib3": {
        "SSLError": _FINAL,
        "LocationValueError": _FINAL,
        "TimeoutError": _LOST,
        "ConnectionError": _LOST,
        "ProtocolError": _LOST,
        "IncompleteRead": _LOST,
        "InvalidChunkLength": _LOST,
        "DecodeError": _LOST,
        "ProxyError": _LOST,
    },
    "http": {"IncompleteRead": _LOST},
    "botocore": {"HTTPClientError": _LOST, "ConnectionError": _LOST},
}
"""By package and class: whether another attempt may succeed. The first class of the ``__mro__`` decides."""

_STATUS = {
    "httpx": ("HTTPStatusError", "response", "status_code"),
    "httpx2": ("HTTPStatusError", "response", "status_code"),
    "requests": ("HTTPError", "response", "status_code"),
    "aiohttp": ("ClientResponseError", "", "status"),
    "urllib": ("HTTPError", "", "code"),
}
"""By package: the error of a status, where its answer is, and how the answer calls the status."""

_WRAPPED = {"urllib3": "MaxRetryError", "urllib": "URLError"}
"""Errors whose ``reason`` is the error itself."""

_GRPC = frozenset({"grpc", "grpclib"})
_GRPC_CODES = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"})


def retryable_of_library(error: BaseException) -> bool | None:
    """Return whether another attempt may succeed; ``None`` if the error is of no library known here."""
    package, verdict = _known(cast("Hashable", type(error)))
    if package is None:
        return None
    if (status := _status(error, package)) is not None:
        return status in RETRYABLE_STATUSES
    if package in _GRPC:
        return _grpc_code(error) in _GRPC_CODES
    if verdict is None:
        reason = getattr(error, "reason", None) if package in _WRAPPED else None
        return _retryable_reason(reason) if isinstance(reason, BaseException) else None
    return verdict and not _distrusted(error)


def retry_after_of_library(error: BaseException) -> float | None:
    """Return the seconds that the answer behind an error of a library asks to wait."""
    package, _ = _known(cast("Hashable", type(error)))
    if package is None or _status(error, package) is None:
        return None
    _, holder, _ = _STATUS[package]
    headers: Any = getattr(getattr(error, holder, None) if holder else error, "headers", None)
    return retry_after_in(headers) if hasattr(headers, "get") else None


@lru_cache(maxsize=1024)
def _known(kind: Any) -> tuple[str | None, bool | None]:
    """Return the package of a class of errors, and the verdict of the table."""
    package = None
    for base in kind.__mro__:
        root = base.__module__.partition(".")[0]
        verdict = KINDS.get(root, {}).get(base.__name__)
        if verdict is not None:
            return root, verdict
        if package is None and (
            (root in _STATUS and _STATUS[root][0] == base.__name__)
            or _WRAPPED.get(root) == base.__name__
            or (root in _GRPC and base.__name__ in ("RpcError", "GRPCError"))
        ):
            package = root
    return package, None


def _status(error: BaseException, package: str) -> int | None:
    """Return the status code of the answer that the error is about."""
    if package not in _STATUS:
        return None
    name, holder, field = _STATUS[package]
    if all(base.__name__ != name for base in type(error).__mro__):
        return None
    status = getattr(getattr(error, holder, None) if holder else error, field, None)
    return status if isinstance(status, int) else None


def _grpc_code(error: Any) -> str:
    """Return the name of the status of an error of grpc or grpclib."""
    code = getattr(error, "code", None)
    try:
        code = code() if callable(code) else getattr(error, "status", None)
    except Exception:  # noqa: BLE001  somebody's own error class
        return ""
    return str(getattr(code, "name", ""))


def _retryable_reason(reason: BaseException) -> bool:
    verdict = retryable_of_library(reason)
    if verdict is not None:
        return verdict
    return isinstance(reason, OSError) and not isinstance(reason, ssl.SSLCertVerificationError)


def _distrusted(error: BaseException) -> bool:
    """Whether a certificate was refused: that is no lost connection, although libraries say so."""
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None:
            return False
        if isinstance(seen, ssl.SSLCertVerificationError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
