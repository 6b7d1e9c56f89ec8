"""Wait for one file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent


class DeliveryTrigger(BaseTrigger):
    """Fire when a file exists; senders write under another name and rename.

    :param path: Absolute path of the file.
    :param poll_s: Seconds between two looks.
    """

    def __init__(self, path: str, poll_s: float = 5.0) -> None:
        super().__init__()
        self.path = path
        self.poll_s = poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what rebuilds this trigger in another process."""
        return "incumbent_airflow.triggers.delivery.DeliveryTrigger", {"path": self.path, "poll_s": self.poll_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: the file landed, or looking for it failed."""
        try:
            while not await asyncio.to_thread(Path(self.path).exists):
                await asyncio.sleep(self.poll_s)
        except OSError as error:
            yield TriggerEvent({"status": "error", "message": f"{self.path} cannot be looked up: {error}"})
            return
        yield TriggerEvent({"status": "landed", "message": f"{self.path} is there", "path": self.path})
