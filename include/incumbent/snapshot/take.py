"""Take a snapshot: which contents a training sees, and how their days are split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta

from incumbent.config import Model
from incumbent.errors import TrainingError
from incumbent.features.known import known_features
from incumbent.partitions import end_of
from incumbent.records import Part, Snapshot
from incumbent.store import ModelStore

PINS = "pins"


def take(
    store: ModelStore,
    model: Model,
    definition: str,
    partition: str,
    request: str,
    contracts: Mapping[str, str],
    known_at: datetime | None = None,
) -> Snapshot:
    """Record what the training of a request sees; later runs of the request read the same.

    The window is "up to this partition", never "latest". Gate rows are its newest days; training
    rows end an embargo before them, because the outcomes of the last days were not known yet.

    Args:
        store: The model's store.
        model: Its configuration.
        definition: Feature definition digest of the candidate.
        partition: Newest partition of the window.
        request: Retrain request id; the pin's name.
        contracts: Source name to contract digest.
        known_at: Moment, in UTC: data that came or was restated after it is not seen. None sees all that is there.

    Raises:
        TrainingError: No partition has both features and outcomes, or features as known then are not computed.
    """
    pin = f"train-{request}"
    if store.records.has(PINS, pin):
        return store.records.get(Snapshot, store.records.get_plain(PINS, pin)["snapshot"])
    snapshot = compose(store, model, definition, partition, contracts, known_at)
    store.records.put(snapshot.id, snapshot)
    stands = store.records.claim(PINS, pin, {"snapshot": snapshot.id, "request": request})
    return store.records.get(Snapshot, stands["snapshot"])


def compose(
    store: ModelStore,
    model: Model,
    definition: str,
    partition: str,
    contracts: Mapping[str, str],
    known_at: datetime | None = None,
) -> Snapshot:
    """Return the snapshot of a window without recording it; see `take`."""
    features = _until(_features(store, model, definition, partition, known_at), partition)
    outcomes = _until(store.outcomes(model.outcome_source).parts(known_at), partition)
    both = [key for key in features if key in outcomes][-model.train.window :]
    if not both:
        raise TrainingError(
            "nothing to train on",
            where=f"model {model.name}, partitions up to {partition}",
            expected="at least one partition with features and outcomes",
            found=f"features of {len(features)}, outcomes of {len(outcomes)} partitions",
            next_step="deliver the outcomes of the partition, then request the training again",
        )
    gate_until = end_of(both[-1], model.grain).date()
    gate_from = gate_until - timedelta(days=model.evaluate.holdout_days)
    return Snapshot(
        model=model.name,
        partition=partition,
        definition=definition,
        features=tuple(asdict(features[key]) for key in both),
        outcomes=tuple(asdict(outcomes[key]) for key in both),
        contracts=dict(contracts),
        # Without classes as it was before there were any: the same rows are the same training set.
        label=model.label.model_dump(mode="json", exclude=None if model.label.classes else {"classes"}),
        train_until=(gate_from - timedelta(days=model.embargo_days)).isoformat(),
        gate_from=gate_from.isoformat(),
        gate_until=gate_until.isoformat(),
    )


def _until(parts: Mapping[str, Part], partition: str) -> dict[str, Part]:
    return {key: part for key, part in parts.items() if key <= partition}


def _features(
    store: ModelStore, model: Model, definition: str, partition: str, known_at: datetime | None
) -> Mapping[str, Part]:
    if known_at is None:
        return store.features(definition).parts()
    known = known_features(store, model, definition, partition, known_at)
    if known.unbuilt:
        raise TrainingError(
            "features as they were known then are not computed",
            where=f"model {model.name}, definition {definition[:16]}, known at {known_at.isoformat()}",
            expected="each partition that was let through, under this definition",
            found=f"nothing for {', '.join(known.unbuilt[:5])}",
            next_step="request a training with this moment: it computes them",
        )
    return known.parts
