"""One model online: a request is answered from what is published of its key, else by the champion from its row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from incumbent.config import ModelFolder
from incumbent.errors import PipelineError
from incumbent.estimators import predictor
from incumbent.features.inputs import Delivered, delivered
from incumbent.partitions import key_of
from incumbent.records import Promotion
from incumbent.serve.keys import Keys
from incumbent.serve.live import LiveModel, LiveRow
from incumbent.serve.published import Published
from incumbent.serve.refusal import Refusal
from incumbent.serve.request import Request, parsed, request_of
from incumbent.serve.seat import Seat
from incumbent.store import ModelStore
from incumbent.validate.contract import Contract
from incumbent.validate.rules import DATE

PUBLISHED, LIVE = "published", "live"


class Online:
    """A model that answers.

    Args:
        folder: Its folder.
        contract: Its contract.
        store: Its store.
        is_only: Whether no other model is served.
        newest: How many partitions of predictions are answered from, the newest; all if None.
    """

    def __init__(
        self, folder: ModelFolder, contract: Contract, store: ModelStore, is_only: bool, newest: int | None = None
    ) -> None:
        self.model = folder.model
        self._store = store
        self._source = contract.sources[self.model.batch_source]
        self.published = Published(store, self.model, Keys(store, self.model, self._source), newest)
        self.seat = Seat(self.name, store.champion, lambda: delivered(store, self.model), self._load)
        self.request = request_of(self.model, self._source, is_only)
        self.problem: PipelineError | None = None

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    @property
    def problems(self) -> list[PipelineError]:
        """What cannot be loaded now; what was loaded before answers on."""
        found = [self.problem, self.seat.problem, *self.published.problems.values()]
        return [each for each in found if each is not None]

    def refresh(self) -> bool:
        """Take in what the store has new; return whether another version answers live rows from now on."""
        try:
            self.published.refresh()
            self.problem = None
        except PipelineError as error:
            self.problem = error
        return self.seat.refresh()

    def parsed(self, body: bytes) -> Request:
        """Return a request of this model.

        Raises:
            Refusal: It is none.
        """
        return parsed(self.request, body, f"request of model {self.name}")

    def from_published(self, asked: Request) -> dict[str, Any] | None:
        """Return the answer from what is published; None if nothing is.

        Raises:
            Refusal: Nothing is, and no row was given that could be scored.
        """
        key = self._key(asked)
        row = self.published.find(key, asked.partition)
        if row is not None:
            return {**self._said(key, PUBLISHED), **row}
        if asked.row is not None:
            return None
        raise Refusal(
            "nothing is published of this key",
            reason="unknown_key",
            where=f"predictions of {self.name}" + (f", partition {asked.partition}" if asked.partition else ""),
            expected="a key of a row that was scored",
            found=f"none among {self.published.rows} rows",
            next_step="give the whole row in `row`, to have it scored now",
        )

    def live_row(self, asked: Request) -> LiveRow:
        """Return the row of a request as it is scored.

        Raises:
            Refusal: It has no date, and the request does not say which partition it is of.
        """
        values = asked.values()
        at = self._moment(values)
        partition = asked.partition if at is None else key_of(at, self.model.grain)
        if partition is None:
            raise Refusal(
                "nothing says which partition the row is of",
                reason="wrong_request",
                where=f"request of model {self.name}",
                expected=f"a value of {self.model.time}, or `partition`",
                found="neither",
                next_step="say it in `partition`",
            )
        return LiveRow(partition, values, asked.features, asked.missing_context)

    def from_live(self, asked: Request, found: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer from what a version said."""
        return {**self._said(self._key(asked), LIVE), **found}

    def state(self) -> dict[str, Any]:
        """Return what is answered, for who watches; no values of rows."""
        holder = self.seat.holder
        live = None
        if holder is not None:
            live = {
                "generation": holder.promotion.generation,
                "version": holder.version.digest,
                "features_to_give": list(holder.proof.of_the_batch),
                "proven_on": holder.proof.partition,
            }
        problems = [error.what for error in self.problems]
        return {"published_rows": self.published.rows, "live": live, "problems": problems}

    def _moment(self, values: Mapping[str, Any]) -> datetime | None:
        """Return the local moment by which a row's partition is told, as in a delivery."""
        at: datetime | None = values.get(self.model.time)
        if at is not None:
            return at.astimezone(ZoneInfo(self.model.timezone)).replace(tzinfo=None)
        parts = [values.get(name) for name in DATE]
        try:
            return datetime(*(int(part) for part in parts if part is not None))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return None

    def _key(self, asked: Request) -> dict[str, Any]:
        values = asked.key_values()
        return {name: values[name] for name in self.model.keys}

    def _said(self, key: Mapping[str, Any], source: str) -> dict[str, Any]:
        return {"model": self.name, "key": dict(key), "source": source}

    def _load(self, promotion: Promotion, now: Delivered) -> LiveModel:
        # A predictor of its own for each: the loaded file goes with the version that has lost its seat.
        predict = predictor(self._store)
        return LiveModel(self._store, self.model, self._source, promotion, now, predict, self.seat.holder)
