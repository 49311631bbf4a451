"""aioreactive in both directions: a flow is an ``AsyncObservable``, and any observable can become a flow.

Run it: ``python examples/with_aioreactive.py``
"""

from __future__ import annotations

import asyncio

import aioreactive as rx

import penstock as ps


async def observe_a_flow() -> None:
    """Drive an observer: the flow waits for each ``asend``."""
    over = asyncio.Event()

    async def send(n: int) -> None:
        print("observed", n)

    async def throw(error: Exception) -> None:
        print("failed", error)
        over.set()

    async def close() -> None:
        print("closed")
        over.set()

    flow = ps.from_iterable(range(1, 4)).map(lambda n: n * 10)
    async with await flow.subscribe_async(rx.AsyncAnonymousObserver(send, throw, close)):
        await over.wait()


async def use_its_operators() -> None:
    """Apply an operator of aioreactive to a flow, and turn the result into a flow again."""
    shouted = rx.pipe(ps.just("more", "and", "more"), rx.map(str.upper))
    print(await ps.from_observable(shouted).to_list())


async def ask_a_subject() -> None:
    """Turn a subject into a flow: its ``asend`` waits until there is demand."""
    subject: rx.AsyncSubject[int] = rx.AsyncSubject()

    async def produce() -> None:
        for n in range(5):
            await subject.asend(n)
        await subject.aclose()

    async with ps.from_observable(subject).subscribe() as subscription:
        first = asyncio.create_task(subscription.request(10))  # subscribes
        await asyncio.sleep(0)
        producer = asyncio.create_task(produce())
        items = await first
        while more := await subscription.request(10):
            items += more
        await producer
    print("from a subject", items)


async def main() -> None:
    await observe_a_flow()
    await use_its_operators()
    await ask_a_subject()


asyncio.run(main())
