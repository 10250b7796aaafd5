"""Run the same work over many items, a bounded number at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


async def each(
    items: Iterable[Item], work: Callable[[Item], Awaitable[Result]], *, at_once: int
) -> list[Result]:
    """Await ``work`` for every item, at most ``at_once`` together; results in the items' order.

    The first failure cancels what is under way and is raised as it is, not in a group.
    """
    numbered: Iterator[tuple[int, Item]] = iter(enumerate(items))
    results: dict[int, Result] = {}

    async def worker() -> None:
        for number, item in numbered:
            results[number] = await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(worker())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [results[number] for number in sorted(results)]
