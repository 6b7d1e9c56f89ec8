"""Let the API server write for one request at a time where Airflow's database is SQLite."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING

from airflow.configuration import conf

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

READS = ("GET", "HEAD", "OPTIONS")


class OneWriter:
    """A middleware that queues the requests that write.

    Airflow logs a user's action on the event loop, and a request commits through the same loop. With
    SQLite's single writer the two wait for each other as soon as two requests write at once: each
    times out, and with them the scheduler, which ends. Other databases lock rows and are left alone.

    Args:
        app: The application behind this middleware.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.is_sqlite = conf.get("database", "sql_alchemy_conn").startswith("sqlite")
        self.turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, after those that write before it."""
        writes = self.is_sqlite and scope["type"] == "http" and scope["method"] not in READS
        turn: AbstractAsyncContextManager[None] = self.turn if writes else nullcontext()
        async with turn:
            await self.app(scope, receive, send)
