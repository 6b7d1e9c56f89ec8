"""Rows that wait are scored together: all that came while the ones before them were scored.

Nobody waits for others to come, and the more come, the more are scored at once. Ray's own `serve.batch` makes its
batches before there is anybody to work on them: of rows that arrive one by one, each is then a batch of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Batches(Generic[T, R]):
    """Has a function work on batches, one at a time, in a thread of its own.

    Args:
        work: Returns a result for each of some values.
        most: Values that it is given at once.
    """

    def __init__(self, work: Callable[[Sequence[T]], Sequence[R]], most: int) -> None:
        self._work, self._most = work, most
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="score")
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def result(self, value: T) -> R:
        """Return the result for a value; what the function raises is raised to all of its batch."""
        coming: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((value, coming))
        if self._worker is None:
            self._worker = asyncio.create_task(self._until_empty())
        return await coming

    async def _until_empty(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            batch = [each for each in batch if not each[1].done()]  # who has gone away is not worked for
            try:
                found = await loop.run_in_executor(self._thread, self._work, [value for value, _ in batch])
            except Exception as error:
                for _, coming in batch:
                    if not coming.done():
                        coming.set_exception(error)
                continue
            for (_, coming), result in zip(batch, found, strict=True):
                if not coming.done():
                    coming.set_result(result)
        self._worker = None
