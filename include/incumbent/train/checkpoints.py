"""Checkpoints of one fit, in the store: whole or absent, verified when read, the bad ones set aside.

A checkpoint holds the model and everything that decides how the fit goes on: the scores that say when to stop, and
what the attempts before it were. So a fit that goes on from one ends like one that was never disturbed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from incumbent.errors import StoreError, UnavailableError
from incumbent.records import canonical_json, digest_of
from incumbent.store.blobs import Blobs

LOG = logging.getLogger(__name__)
KEEP = 3
ABANDONED = timedelta(days=30)
SET_ASIDE = "set-aside"
SUFFIX = ".checkpoint"
FOLDER = "checkpoints"
SCHEMA = "incumbent.checkpoint/1"


def forget_abandoned(store: Blobs, now: datetime, below: str = FOLDER) -> list[str]:
    """Remove the checkpoints of trainings that nobody has come back to for a month; return their folders.

    Args:
        store: The model's store.
        now: The time, in UTC.
        below: Where they lie; what other work leaves behind goes by the same rule.
    """
    gone = []
    for folder in store.folders(below):
        blobs = store.below(f"{below}/{folder}")
        names = blobs.names()
        if names and all(now - blobs.modified(name) > ABANDONED for name in names):
            for name in names:
                blobs.remove(name)
            gone.append(folder)
    return gone


@dataclass(frozen=True)
class State:
    """How far a fit is, and what decides how it goes on.

    Attributes:
        rounds: Rounds in the model.
        written: Checkpoints over all attempts, this one among them.
        layout: What computes, such as `cpu, 2 workers of 1 thread`; sums of floats depend on it.
        exact: Whether all attempts had the same layout, and an estimator that goes on to the same bytes.
        validation: Score on the validation rows after each round.
        train: Score on the training rows, after some rounds.
    """

    rounds: int = 0
    written: int = 0
    layout: str = ""
    exact: bool = True
    validation: Sequence[float] = ()
    train: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """A model that a fit can go on from."""

    name: str
    state: State
    model: bytes


class Checkpoints:
    """The checkpoints of one fit, named by the digest of its work.

    Args:
        blobs: The model's store.
        work: Id of the work; a checkpoint of another one is not taken.
    """

    def __init__(self, blobs: Blobs, work: str) -> None:
        self.work = work
        self.blobs = blobs.below(f"{FOLDER}/{work[:32]}")

    def write(self, state: State, model: bytes) -> None:
        """Keep a model and its state; the name carries the digest of both.

        Raises:
            UnavailableError: It cannot be written, for want of room or of rights.
        """
        data = canonical_json({"schema": SCHEMA, "work": self.work, **asdict(state)}) + b"\n" + model
        try:
            self.blobs.create(f"{state.rounds:06d}-{digest_of(data)}{SUFFIX}", data)
            for name in self._names()[:-KEEP]:
                self.blobs.remove(name)
        except OSError as error:
            raise UnavailableError(
                "a checkpoint cannot be written",
                where=self.blobs.url,
                expected=f"room for {len(data):,} bytes, and the right to write",
                found=error.strerror or error,
                next_step="make room; the training goes on from the newest checkpoint when its task runs again",
            ) from error

    def newest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is what its name says, of this work; others are set aside."""
        for name in reversed(self._names()):
            try:
                return self.read(name)
            except FileNotFoundError:
                continue  # another attempt has newer ones by now
            except StoreError as error:
                self._set_aside(name, error)
        return None

    def read(self, name: str) -> Checkpoint:
        """Return a checkpoint by its name.

        Raises:
            FileNotFoundError: There is none.
            StoreError: It cannot be read, was changed, or is of another work.
        """
        digest = name.removesuffix(SUFFIX).partition("-")[2]
        try:
            data = self.blobs.read(name)
        except FileNotFoundError:
            raise
        except OSError as error:  # no permission, or a disk that is broken there
            raise self._unusable(name, f"it cannot be read: {error.strerror or error}") from error
        if digest_of(data) != digest:
            raise self._unusable(name, "other content than its name says")
        header, _, model = data.partition(b"\n")
        try:
            plain = json.loads(header)
            schema, work, state = plain.pop("schema"), plain.pop("work"), State(**plain)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._unusable(name, "no checkpoint") from error
        if (schema, work) != (SCHEMA, self.work):
            raise self._unusable(name, "a checkpoint of another work")
        return Checkpoint(name, state, model)

    def say(self, name: str, plain: Mapping[str, Any]) -> None:
        """Keep a small record of the fit, in the place of one of that name."""
        self.blobs.remove(name)
        self.blobs.create(name, canonical_json(plain))

    def put(self, name: str, file: Path) -> None:
        """Keep a file that is named by its content; it is gone afterwards."""
        self.blobs.create_from(name, file)

    def forget(self, name: str) -> None:
        """Forget a small record."""
        self.blobs.remove(name)

    def said(self, name: str) -> dict[str, Any] | None:
        """Return a small record of the fit, or None."""
        try:
            plain: dict[str, Any] = json.loads(self.blobs.read(name))
        except FileNotFoundError:
            return None
        return plain

    def clear(self) -> None:
        """Forget a fit that is done."""
        for name in self.blobs.names():
            self.blobs.remove(name)

    def _names(self) -> list[str]:
        return [name for name in self.blobs.names() if name.endswith(SUFFIX) and "/" not in name]

    def _unusable(self, name: str, found: str) -> StoreError:
        return StoreError(
            "a checkpoint cannot be used",
            where=f"{self.blobs.url}/{name}",
            expected="a checkpoint of this work, under the digest of its content",
            found=found,
            next_step="nothing: the fit goes on from the one before it",
        )

    def _set_aside(self, name: str, why: StoreError) -> None:
        LOG.warning("checkpoint %s is set aside: %s", name, why.found)
        try:
            self.blobs.create(f"{SET_ASIDE}/{name}", self.blobs.read(name))
            self.blobs.remove(name)
        except OSError as error:
            LOG.warning("it stays where it is: %s", error)
