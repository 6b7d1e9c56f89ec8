"""Where requests come in: who may ask, which model is asked, what is answered; without a word of HTTP or Ray."""

from __future__ import annotations

import json
import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from traceback import format_tb
from typing import Any

from incumbent.serve.batches import Batches
from incumbent.serve.live import LiveRow
from incumbent.serve.metrics import Metrics
from incumbent.serve.online import LIVE, PUBLISHED, Online
from incumbent.serve.refusal import Refusal
from incumbent.serve.token import check

LOG = logging.getLogger(__name__)
UNKNOWN = ""  # for what is counted of requests that name no model
MOST_BYTES = 64 * 1024
Said = dict[str, Any] | Refusal


class Desk:
    """The models that one process serves.

    Args:
        models: The models by name.
        token: SHA-256 of the token; empty if none is asked for.
        most: Live rows that may wait at once; a further one is sent away.
        together: Live rows that are scored together.
    """

    def __init__(self, models: Mapping[str, Online], token: str, most: int, together: int) -> None:
        self.models, self.metrics = models, Metrics()
        self._token, self._most = token, most
        self._batches: Batches[tuple[str, LiveRow], Said] = Batches(self._scored, together)
        self._waiting = 0

    def admit(self, authorization: str | None) -> None:
        """Refuse who has no token.

        Raises:
            Refusal: Of these reasons.
        """
        try:
            check(authorization, self._token)
        except Refusal as refusal:
            self.metrics.refused(UNKNOWN, refusal.reason)
            raise

    async def answer(self, body: bytes) -> dict[str, Any]:
        """Return the answer to a request.

        Raises:
            Refusal: There is none.
        """
        began, name = time.perf_counter(), UNKNOWN
        try:
            online = self._asked(body)
            name = online.name
            asked = online.parsed(body)
            found, source = online.from_published(asked), PUBLISHED
            if found is None:
                found, source = online.from_live(asked, await self._live(name, online.live_row(asked))), LIVE
        except Refusal as refusal:
            self.metrics.refused(name, refusal.reason)
            raise
        self.metrics.answered(name, source, time.perf_counter() - began)
        return found

    def refuse(self, reason: str, **fields: Any) -> Refusal:
        """Return a refusal that is counted, for what is seen before a request is read."""
        self.metrics.refused(UNKNOWN, reason)
        return Refusal(fields.pop("what"), reason=reason, **fields)

    def refresh(self) -> None:
        """Take in what the stores have new, model by model; one that fails does not keep the others back."""
        for online in self.models.values():
            try:
                online.refresh()
            except Exception as error:  # what is damaged can fail in any way, and answers go on
                online.problem = unexpected(f"model {online.name}", error)
            holder = online.seat.holder
            if holder is not None:
                self.metrics.seated(online.name, holder.promotion.generation, holder.version.digest)
            self.metrics.stands(online.name, online.published.rows, not online.problems)

    def health(self, authorization: str | None) -> dict[str, Any]:
        """Return whether all that is there can be read; what is there, to those who have the token."""
        sound = not any(online.problems for online in self.models.values())
        said: dict[str, Any] = {"status": "ok" if sound else "degraded"}
        with suppress(Refusal):
            check(authorization, self._token)
            said["models"] = {name: online.state() for name, online in self.models.items()}
        return said

    def _asked(self, body: bytes) -> Online:
        """Return the model that a request names; its schema is known only then."""
        if len(self.models) == 1 and b'"model"' not in body:
            return next(iter(self.models.values()))
        try:
            plain = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refusal(
                "the request is no JSON",
                reason="malformed_json",
                where="request",
                expected="one JSON object",
                found=type(error).__name__,
                next_step="send JSON in UTF-8",
            ) from None
        name = plain.get("model") if isinstance(plain, dict) else None
        if len(self.models) == 1 and (name is None or not isinstance(name, str)):
            return next(iter(self.models.values()))  # its own schema says what is wrong, if anything is
        name = name if isinstance(name, str) else None
        if name is None or name not in self.models:
            raise Refusal(
                "there is no such model" if name else "the request names no model",
                reason="unknown_model" if name else "wrong_request",
                where="request, key `model`",
                expected=", ".join(self.models),
                found=(name or "none")[:100],
                next_step="name one of these",
            )
        return self.models[name]

    async def _live(self, name: str, row: LiveRow) -> dict[str, Any]:
        if self._waiting >= self._most:
            raise Refusal(
                "more rows wait than can be scored in good time",
                reason="busy",
                where=f"model {name}",
                expected=f"at most {self._most} live rows at once",
                found=self._waiting,
                next_step="ask again in a second",
            )
        self._waiting += 1
        try:
            found = await self._batches.result((name, row))
        finally:
            self._waiting -= 1
        if isinstance(found, Refusal):
            raise found
        return found

    def _scored(self, asked: Sequence[tuple[str, LiveRow]]) -> list[Said]:
        """Return what the champions of now say of rows, model by model; in the thread of the batches."""
        found: dict[int, Said] = {}
        of: dict[str, list[int]] = defaultdict(list)
        for at, (name, _) in enumerate(asked):
            of[name].append(at)
        for name, places in of.items():
            try:
                said: Sequence[Said] = self.models[name].seat.taken().answers([asked[at][1] for at in places])
            except Refusal as refusal:
                said = [refusal] * len(places)
            except Exception as error:
                said = [unexpected(f"model {name}", error)] * len(places)
            found.update(zip(places, said, strict=True))
        return [found[at] for at in range(len(asked))]


def unexpected(where: str, error: Exception) -> Refusal:
    """Return what nobody has foreseen as an error, and log where it was: not its words, which may repeat a value."""
    LOG.error("%s: %s\n%s", where, type(error).__name__, "".join(format_tb(error.__traceback__)))
    step = "look at the server's log"
    return Refusal("it failed", reason="failed", where=where, found=type(error).__name__, next_step=step)
