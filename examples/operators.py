"""Operators in a chain, written in two ways, and requests by hand.

Run it: ``python examples/operators.py``
"""

from __future__ import annotations

import asyncio

import penstock as ps
import penstock.operators as op


def is_prime(n: int) -> bool:
    return n > 1 and all(n % k for k in range(2, int(n**0.5) + 1))


async def slow_square(n: int) -> int:
    """Stand for a service that takes some time to answer."""
    await asyncio.sleep(0.001)
    return n * n


async def main() -> None:
    # A flow is a description: nothing has run yet. So the range may be as long as you like.
    primes = ps.from_iterable(range(10**9)) | op.filter(is_prime)

    print("first ten:", await primes.take(10).to_list())
    print("in pairs: ", await (primes | op.batch(2) | op.take(3)).to_list())
    print("sums:     ", await primes.scan(lambda total, n: total + n, 0).take(5).to_list())

    # Eight calls at a time, results in order, and never further ahead of the consumer than the window.
    squares = primes | op.take(20) | op.map_async(slow_square, concurrency=8)
    print("last square:", await squares.last(), "- in flight at most", int(squares.max_in_flight()))

    # One run, with requests by hand: each returns at most 2 items, and the empty list at the end.
    async with primes.take(5).subscribe() as subscription:
        while items := await subscription.request(2):
            print("asked for 2, got", items)


asyncio.run(main())
