"""The limits of the server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What clients may use. Whoever asks for more gets a problem: 408, 413, 429 or 503."""

    runs: int = 4
    """Runs at a time, streams included."""
    streams: int = 1_500
    """Clients that read events at a time."""
    connections: int = 2_000
    """Open connections; for `serve` only, a server of your own has its own limit."""
    requests: float = 50.0
    """Requests a second of one client address. Twice as many may come at once."""
    body: int = 65_536
    """Bytes of a request."""
    body_seconds: float = 10.0
    """Seconds until the body of a request has arrived."""
    idle_seconds: float = 300.0
    """A client that takes no data for so long is disconnected."""
    heartbeat_seconds: float = 15.0
    """Seconds without an event after which a client gets a comment."""
    kept_runs: int = 20
    """Runs that are remembered; older ones that have ended are forgotten, with their events."""
    run_bytes: int = 256 << 20
    """Bytes of events that are kept of a run; older events are forgotten."""
