"""Score one partition with the champion that was pinned for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from incumbent.config import Model
from incumbent.errors import ModelError
from incumbent.features.build import build, built_from, committed
from incumbent.features.rows import feature_rows
from incumbent.records import ModelVersion, Part, Promotion
from incumbent.store import ModelStore

LOG = logging.getLogger(__name__)
PINS = "pins"
Predict = Callable[[ModelVersion, pa.Table], np.ndarray]


@dataclass(frozen=True)
class ScoreResult:
    """What a scoring did.

    Attributes:
        partition: Partition key.
        generation: Generation that the rows say; 0 when nothing was scored.
        version: Version digest.
        rows: Rows in the predictions partition.
        changed: Whether this call committed anything.
        message: One sentence for a person.
    """

    partition: str
    generation: int
    version: str
    rows: int
    changed: bool
    message: str


def score(
    store: ModelStore, model: Model, partition: str, predict: Predict, generation: int | None = None
) -> ScoreResult:
    """Replace one predictions partition by the pinned champion's predictions.

    The champion is resolved once for these features and pinned, so a run that is cleared next spring
    scores with last spring's champion. What was scored already is left as it is unless a generation
    is named: scoring again with another champion is an explicit act.

    Args:
        store: The model's store.
        model: Its configuration.
        partition: Partition key.
        predict: Verified prediction of a version: `(version, rows) -> (n_rows,)`.
        generation: Score again with this generation's version.

    Raises:
        ModelError: The generation is not in the ledger, or the version's predictions are no numbers.
        FeatureError: The version's features are not there and cannot be computed.
    """
    promotion = _pinned(store, partition) or store.champion() if generation is None else _named(store, generation)
    if promotion is None:
        return ScoreResult(partition, 0, "", 0, changed=False, message="No champion yet: nothing is scored.")
    version = store.records.get(ModelVersion, promotion.version)
    features = committed(store, version.definition, partition)
    if features is None:  # FEATURES ran before this definition had the seat
        built = build(store, model, version.definition, partition)
        if built.part is None:
            message = "" if built.hold is None else built.hold.message
            return ScoreResult(partition, 0, version.digest, 0, changed=False, message=message)
        features = built.part
    if generation is None:
        _pin(store, partition, promotion, version, features)
    done = f"scored/{partition}-{features.digest[:16]}"
    current = store.predictions.part(partition)
    if generation is None and current is not None and store.records.has(PINS, done):
        held = store.predictions.read([partition], ["generation"])["generation"][0].as_py()
        message = f"These features are scored already ({current.rows} rows); name a generation to score them again."
        digest = store.promotion(held).version
        return ScoreResult(partition, held, digest, current.rows, changed=False, message=message)
    rows = _predictions(store, model, promotion, version, features, predict)
    commit = store.predictions.replace(partition, rows)
    store.records.claim(PINS, done, {"features": features.digest})
    message = f"{rows.num_rows} rows of {partition} scored by generation {promotion.generation}."
    LOG.info("%s", message)
    return ScoreResult(
        partition, promotion.generation, version.digest, rows.num_rows, changed=commit.changed, message=message
    )


def _named(store: ModelStore, generation: int) -> Promotion:
    ledger = {promotion.generation: promotion for promotion in store.ledger()}
    if generation not in ledger:
        raise ModelError(
            "no such generation",
            where=f"ledger of {store.root.name}",
            expected=f"one of {sorted(ledger)}",
            found=generation,
            next_step="name a generation of the ledger",
        )
    return ledger[generation]


def _pinned(store: ModelStore, partition: str) -> Promotion | None:
    """Return the newest promotion that was pinned for the features that are there now."""
    pins = [store.records.get_plain(PINS, name) for name in store.records.names(PINS, f"score-{partition}-")]
    now = {pin["definition"]: store.features(pin["definition"]).part(partition) for pin in pins}
    fitting = [
        pin["generation"]
        for pin in pins
        if (part := now[pin["definition"]]) is not None and part.digest == pin["features"]
    ]
    return store.promotion(max(fitting)) if fitting else None


def _pin(store: ModelStore, partition: str, promotion: Promotion, version: ModelVersion, features: Part) -> None:
    pin = {
        "generation": promotion.generation,
        "version": version.digest,
        "definition": version.definition,
        "features": features.digest,
    }
    store.records.claim(PINS, f"score-{partition}-{features.digest[:16]}", pin)


def _predictions(
    store: ModelStore,
    model: Model,
    promotion: Promotion,
    version: ModelVersion,
    features: Part,
    predict: Predict,
) -> pa.Table:
    rows = feature_rows(store, version.definition, [features])
    values = np.asarray(predict(version, rows), dtype=np.float64)
    if values.shape != (rows.num_rows,) or not np.isfinite(values).all():
        raise ModelError(
            "predictions are not one finite number per row",
            where=f"model {model.name}, generation {promotion.generation}, partition {features.partition}",
            expected=f"{rows.num_rows} finite numbers",
            found=f"shape {values.shape}, {int((~np.isfinite(values)).sum())} not finite",
            next_step="roll back to an earlier generation and look at the version's gate report",
        )
    constants = {
        "generation": pa.scalar(promotion.generation, pa.int64()),
        "version": pa.scalar(version.digest),
        "batch_digest": pa.scalar(built_from(store, version.definition, features)),
        "definition": pa.scalar(version.definition),
        "features_digest": pa.scalar(features.digest),
        "variant": pa.scalar("champion"),
    }
    table = rows.select([*model.keys, model.time]).append_column("prediction", pa.array(values))
    for name, value in constants.items():
        table = table.append_column(name, pa.repeat(value, rows.num_rows))
    return table
