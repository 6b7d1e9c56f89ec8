"""The life of an order to score partitions again: open → an answer for each partition, put-if-absent records.

An order is written where the store is, by whoever may write there, and done by the runs of the model's score DAG, so
that what it changes is announced as any scoring is. Each partition of it is scored once, however often a run is killed.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from incumbent.config import Model
from incumbent.errors import ConfigError, PipelineError, UnavailableError
from incumbent.records import ScoreOrder
from incumbent.score.rows import Elsewhere, Predict
from incumbent.score.score import ScoreResult, score
from incumbent.store import ModelStore, generation_name
from incumbent.store.announcements import may_announce

LOG = logging.getLogger(__name__)
KIND = ScoreOrder.kind
DONE, LEFT, FAILED = "done", "left", "failed"
LOST_AFTER = timedelta(minutes=15)


def order(store: ModelStore, model: Model, given: ScoreOrder) -> tuple[ScoreOrder, bool]:
    """Write down what is asked for; return the order that stands, and whether it is new.

    Raises:
        ConfigError: Nothing was delivered for a partition, or there is no such generation.
    """
    there = store.batches(model.batch_source).parts()
    if missing := [each for each in given.partitions if each not in there]:
        raise ConfigError(
            "there is nothing to score",
            where=f"model {model.name}, {', '.join(missing[:5])}",
            expected=f"partitions of {model.batch_source} that were accepted",
            found=f"{len(there)} others" + (f", newest {max(there)}" if there else ""),
            next_step="name partitions that were delivered",
        )
    if given.generation < 1 or not store.records.has("promotions", generation_name(given.generation)):
        raise ConfigError(
            "no such generation",
            where=f"ledger of {model.name}",
            expected=f"a generation from 1 to {len(store.ledger())}",
            found=given.generation,
            next_step=f"incumbent champion show {model.name}",
        )
    name = f"{given.id}/open"
    if store.records.has(KIND, name):
        return store.records.get(ScoreOrder, name), False
    stands = ScoreOrder.from_json(store.records.claim(KIND, name, given.to_json()))
    return stands, True


def answers(store: ModelStore, given: ScoreOrder) -> dict[str, dict[str, Any] | None]:
    """Return what became of each partition of an order: its verdict and a sentence; None while it waits."""
    names = {each: f"{given.id}/{each}" for each in given.partitions}
    has = {each: store.records.has(KIND, name) for each, name in names.items()}
    return {each: store.records.get_plain(KIND, name) if has[each] else None for each, name in names.items()}


def waiting(store: ModelStore) -> list[tuple[ScoreOrder, str]]:
    """Return the partitions of orders that have no answer yet, first asked first."""
    opened = [name for name in store.records.names(KIND) if name.endswith("/open")]
    opened.sort(key=lambda name: store.records.written(KIND, name))
    orders = [store.records.get(ScoreOrder, name) for name in opened]
    return [(each, key) for each in orders for key, answer in answers(store, each).items() if answer is None]


def claim_orders(store: ModelStore, owner: str, now: datetime) -> list[str]:
    """Return the partitions with orders that this owner announces: each is announced by one run until it is lost.

    Args:
        store: The model's store.
        owner: Run that looks; a run that is cleared announces its own again.
        now: The time.
    """
    mine = [
        key
        for each, key in waiting(store)
        if may_announce(store.records, KIND, f"{each.id}/announced-{key}", owner, now, LOST_AFTER)
    ]
    return sorted(set(mine))


def do_orders(
    store: ModelStore, model: Model, partition: str, predict: Predict, elsewhere: Elsewhere | None = None
) -> list[ScoreResult]:
    """Score a partition as it was ordered, first asked first; each order once.

    What cannot be done is answered too, and raises nothing: the partition is still to be scored as on any day.

    Raises:
        UnavailableError: A service was away; the order waits.
    """
    done = []
    for each, key in waiting(store):
        if key != partition:
            continue
        try:
            result = score(store, model, key, predict, each.generation, f"score order {each.id}", elsewhere)
        except UnavailableError:
            raise
        except PipelineError as error:
            LOG.warning("order %s, %s: %s, %s", each.id, key, error.what, error.where)
            _answer(store, each, key, FAILED, f"{error.what}: {error.where}")
            continue
        _answer(store, each, key, DONE if result.generation else LEFT, result.message, result.rows)
        done.append(result)
    return done


def _answer(store: ModelStore, given: ScoreOrder, key: str, verdict: str, message: str, rows: int = 0) -> None:
    plain = {"verdict": verdict, "message": message, "rows": rows, "generation": given.generation}
    store.records.claim(KIND, f"{given.id}/{key}", plain)
