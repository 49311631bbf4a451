"""``no_leaks`` finds what a block leaves behind, and nothing else."""

from __future__ import annotations

import asyncio
import gc
from typing import IO, TYPE_CHECKING

import pytest

from penstock.testing import Leak, no_leaks, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


async def numbers() -> AsyncIterator[int]:
    yield 1
    yield 2


def test_a_clean_block_leaves_nothing() -> None:
    """Finished tasks, finished generators and retrieved errors are no leaks."""

    async def main() -> None:
        async with no_leaks():
            await asyncio.create_task(asyncio.sleep(1))
            assert [x async for x in numbers()] == [1, 2]
            failing = asyncio.create_task(fail())
            with pytest.raises(ValueError, match="seen"):
                await failing

    async def fail() -> None:
        raise ValueError("seen")

    run(main())


def test_a_task_is_found() -> None:
    """A task that is still pending is named."""

    async def main() -> None:
        async with no_leaks():
            task = asyncio.create_task(asyncio.sleep(100), name="forgotten")
        task.cancel()

    with pytest.raises(Leak, match="task forgotten"):
        run(main())


def test_tasks_from_before_are_not_blamed() -> None:
    """A task that ran before the block is not its leak."""

    async def main() -> None:
        task = asyncio.create_task(asyncio.sleep(100))
        async with no_leaks():
            await asyncio.sleep(1)
        task.cancel()

    run(main())


def test_an_open_generator_is_found() -> None:
    """An async generator that was started and never closed is a leak."""
    kept = []

    async def main() -> None:
        async with no_leaks():
            generator = numbers()
            kept.append(generator)
            assert await anext(generator) == 1

    with pytest.raises(Leak, match="open async generator"):
        run(main())


def test_an_unretrieved_exception_is_found() -> None:
    """A failed task whose exception was never retrieved is a leak."""

    async def fail() -> None:
        raise ValueError("unseen")

    async def main() -> None:
        async with no_leaks():
            asyncio.create_task(fail())  # noqa: RUF006  the leak
            await asyncio.sleep(1)

    with pytest.raises(Leak, match="unseen"):
        run(main())


def test_an_open_file_is_found(tmp_path: Path) -> None:
    """A file that is collected while open is a leak."""
    path = tmp_path / "file"
    path.write_text("x")

    async def main() -> None:
        async with no_leaks():
            path.open()

    with pytest.raises(Leak, match="ResourceWarning"):
        run(main())
    gc.collect()


def test_an_open_file_that_is_referred_to_is_found(tmp_path: Path) -> None:
    """A file that is still open and referred to is named."""

    async def main() -> None:
        async with no_leaks():
            kept.append((tmp_path / "kept.txt").open("w"))

    kept: list[IO[str]] = []
    with pytest.raises(Leak, match=r"open file: .*kept\.txt"):
        run(main())
    kept[0].close()


def test_an_error_of_the_block_is_not_masked() -> None:
    """An exception of the block is raised, also if something was left behind."""

    async def main() -> None:
        async with no_leaks():
            asyncio.create_task(asyncio.sleep(1))  # noqa: RUF006  the leak
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(main())
