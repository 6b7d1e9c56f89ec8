"""The life of what a person asked for about a judged batch: open → done, each a put-if-absent record.

An order is written where the store is, by whoever may write there, and done by a run of the source's ingest DAG,
so that what it changes travels on as any delivery does.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from incumbent.records import Revisit
from incumbent.store import ModelStore
from incumbent.store.announcements import may_announce
from incumbent.validate.delivery import ONCE

REPLAY, RELEASE = "replay", "release"
LOST_AFTER = timedelta(minutes=15)


def order(store: ModelStore, revisit: Revisit) -> tuple[Revisit, bool]:
    """Write down what is asked for, unless it waits already; return the order that stands, and whether it is new."""
    while answer(store, revisit) is not None:
        revisit = replace(revisit, number=revisit.number + 1)
    return revisit, bool(store.records.put(f"{_folder(revisit)}/open", revisit))


def unanswered(store: ModelStore, source: str, partition: str | None = None) -> list[Revisit]:
    """Return what is asked for and not done yet, of a source or of one of its partitions, first asked first."""
    below = f"{source}/" if partition is None else f"{source}/{partition or ONCE}/"
    opened = [name for name in store.records.names(Revisit.kind, below) if name.endswith("/open")]
    waiting = [name for name in opened if not store.records.has(Revisit.kind, f"{name.removesuffix('/open')}/done")]
    waiting.sort(key=lambda name: store.records.written(Revisit.kind, name))
    return [store.records.get(Revisit, name) for name in waiting]


def finish(store: ModelStore, revisit: Revisit, verdict: str, message: str) -> dict[str, Any]:
    """Answer an order; the first answer stands.

    Args:
        store: The model's store.
        revisit: What was asked for.
        verdict: `done`, `stopped` (a rule of the whole batch does not hold) or `stale` (other rows came since).
        message: One sentence for a person.
    """
    stands = store.records.claim(Revisit.kind, f"{_folder(revisit)}/done", {"verdict": verdict, "message": message})
    return dict(stands)


def answer(store: ModelStore, revisit: Revisit) -> dict[str, Any] | None:
    """Return what became of an order: its verdict and a sentence; None while it waits."""
    name = f"{_folder(revisit)}/done"
    return store.records.get_plain(Revisit.kind, name) if store.records.has(Revisit.kind, name) else None


def claim_revisits(store: ModelStore, source: str, owner: str, now: datetime) -> list[str]:
    """Return the partitions with orders that this owner announces: each is announced by one run until it is lost.

    Args:
        store: The model's store.
        source: Source name.
        owner: Run that looks; a run that is cleared announces its own again.
        now: The time.
    """
    waiting = unanswered(store, source)
    mine = [
        each
        for each in waiting
        if may_announce(store.records, Revisit.kind, f"{_folder(each)}/announced", owner, now, LOST_AFTER)
    ]
    return sorted({each.partition for each in mine})


def _folder(revisit: Revisit) -> str:
    return f"{revisit.source}/{revisit.partition or ONCE}/{revisit.id}"
