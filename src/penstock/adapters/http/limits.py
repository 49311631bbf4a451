"""The limits that servers publish: how many requests they allow in a second."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """Requests per second, and with an API key."""

    per_second: float
    with_key: float | None = None


PUBLISHED = {
    # support.nlm.nih.gov, articles KA-05317 and KA-05510: 3 requests per second, 10 with an API key. They
    # speak of the E-utilities; the other services of NCBI get the same.
    "eutils.ncbi.nlm.nih.gov": Limit(3, with_key=10),
    "www.ncbi.nlm.nih.gov": Limit(3, with_key=10),
    "pmc.ncbi.nlm.nih.gov": Limit(3, with_key=10),
    "ftp.ncbi.nlm.nih.gov": Limit(3),
    # open.fda.gov/apis/authentication: 240 requests per minute, with and without a key. A daily quota comes
    # on top (1,000, or 120,000 with a key), which only the server counts.
    "api.fda.gov": Limit(4),
    # Not in its documentation; a catalogue of APIs (data.clawrxiv.org) states 50 per minute and address.
    "clinicaltrials.gov": Limit(50 / 60),
    # lhncbc.nlm.nih.gov/RxNav/information/FAQs.html refers to the terms of service of NLM's APIs. Those allow
    # 20 requests per second and address, as they do for UTS (documentation.uts.nlm.nih.gov).
    "rxnav.nlm.nih.gov": Limit(20),
    "uts-ws.nlm.nih.gov": Limit(20),
    # No number found for these: the most cautious limit of their owners.
    "dailymed.nlm.nih.gov": Limit(3),
    "id.nlm.nih.gov": Limit(3),
    "accessgudid.nlm.nih.gov": Limit(3),
    "api.biorxiv.org": Limit(1),  # "no hard limit documented; responsible use expected" (api-evangelist)
    "api.medrxiv.org": Limit(1),
    # wonder.cdc.gov/wonder/help/wonder-api.html, as public clients of it quote it: one query after the other,
    # and one in two minutes.
    "wonder.cdc.gov": Limit(1 / 120),
    # dev.socrata.com/docs/app-tokens.html: a pool by address without a token; not throttled with one.
    "data.cdc.gov": Limit(1, with_key=10),
}
"""The published limits by the name of the host. The comments say where they were found (December 2026)."""

OTHERS = 10.0
"""Requests per second to a server of which no limit is known."""


def published(host: str, *, keyed: bool) -> float:
    """Return how many requests per second ``host`` allows; ``keyed`` says whether requests have a key."""
    limit = PUBLISHED.get(host)
    if limit is None:
        return OTHERS
    return limit.with_key if keyed and limit.with_key is not None else limit.per_second
