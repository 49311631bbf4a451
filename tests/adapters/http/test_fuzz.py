"""Answers that were damaged at random: each one is an answer or an ``HttpError``, soon."""

from __future__ import annotations

import asyncio
import gzip
import random

from penstock.adapters.http import Answer, HttpClient, HttpError

from ...length import LONG  # noqa: TID252  tests are no installed package
from .serving import answer, serving

BODY = b'{"results": [1, 2, 3], "next": null}'
SEEDS = [
    answer(BODY),
    answer(gzip.compress(BODY), content_encoding="gzip", etag='"1"'),
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n3\r\n1}\n\r\n0\r\n\r\n',
    answer(b"", "302 Found", location="/next"),
    answer(b"slow down", "429 Too Many Requests", retry_after="1"),
]  # fmt: skip


def damaged(seeded: random.Random) -> bytes:
    said = bytearray(seeded.choice(SEEDS))
    for _ in range(seeded.randint(1, 4)):
        at = seeded.randrange(len(said))
        how = seeded.randrange(4)
        if how == 0:
            said[at] = seeded.randrange(256)
        elif how == 1:
            del said[at : at + seeded.randint(1, 9)]
        elif how == 2:
            said[at:at] = seeded.choice(
                [b"\r\n", b"\0", b"9" * 30, b"Content-Length: 7\r\n", b":", said[:at]]
            )
        else:
            del said[at:]
        said = said or bytearray(b"x")
    return bytes(said)


async def test_damaged_answers() -> None:
    """The client neither hangs nor raises anything else, and it can be used afterwards."""
    seeded = random.Random(4)
    said = b""
    async with serving(lambda request: said) as (url, _), HttpClient(rate={"127.0.0.1": 1e6}) as http:
        for _ in range(20_000 if LONG else 150):
            said = damaged(seeded)
            try:
                async with asyncio.timeout(30):
                    got = await http.get(url)
                assert isinstance(got, Answer)
                got.json()
            except HttpError as error:
                assert error.host == "127.0.0.1", said
            except Exception as error:
                error.add_note(f"the answer was {said!r}")
                raise
            budgets_forget_what_they_hold()


def budgets_forget_what_they_hold() -> None:
    """Do not wait as long as a damaged ``Retry-After`` asks."""
    from penstock.adapters.http import budgets

    budgets._budgets.clear()
