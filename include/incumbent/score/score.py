"""Score one partition with the champion that was pinned for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from incumbent.config import Model
from incumbent.errors import ModelError
from incumbent.features.compute import input_digest, input_parts
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
        generation: Generation that the rows say; 0 when there is no champion yet.
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

    The champion is resolved once for these inputs and pinned, so a run that is cleared next spring
    scores with last spring's champion. Inputs that were scored already are left as they are unless
    a generation is named: scoring again with another champion is an explicit act.

    Args:
        store: The model's store.
        model: Its configuration.
        partition: Partition key.
        predict: Verified prediction of a version: `(version, rows) -> (n_rows,)`.
        generation: Score again with this generation's version.

    Raises:
        ModelError: The generation is not in the ledger.
    """
    inputs = input_digest(input_parts(store, model, partition))
    promotion = _champion(store, partition, inputs, generation)
    if promotion is None:
        return ScoreResult(partition, 0, "", 0, changed=False, message="No champion yet: nothing is scored.")
    version = store.records.get(ModelVersion, promotion.version)
    features = store.features(version.definition).part(partition)
    if features is None:
        raise ModelError(
            "features of the champion's own definition are missing",
            where=f"model {model.name}, partition {partition}, definition {version.definition[:16]}",
            expected="a committed feature partition",
            found="none",
            next_step=f"run {model.name}.features for this partition",
        )
    done = f"scored/{partition}-{inputs[:16]}"
    current = store.predictions.part(partition)
    if generation is None and current is not None and store.records.has(PINS, done):
        message = f"These inputs are scored already ({current.rows} rows); name a generation to score them again."
        return ScoreResult(
            partition, promotion.generation, version.digest, current.rows, changed=False, message=message
        )
    batch = store.batches(model.batch_source).part(partition)
    rows = _predictions(store, model, promotion, version, features, "" if batch is None else batch.digest, predict)
    commit = store.predictions.replace(partition, rows)
    store.records.claim(PINS, done, {"inputs": inputs})
    message = f"{rows.num_rows} rows of {partition} scored by generation {promotion.generation}."
    LOG.info("%s", message)
    return ScoreResult(
        partition, promotion.generation, version.digest, rows.num_rows, changed=commit.changed, message=message
    )


def _champion(store: ModelStore, partition: str, inputs: str, generation: int | None) -> Promotion | None:
    if generation is not None:
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
    name = f"score-{partition}-{inputs[:16]}"
    if store.records.has(PINS, name):
        return store.promotion(store.records.get_plain(PINS, name)["generation"])
    champion = store.champion()
    if champion is None:
        return None
    pin = {"generation": champion.generation, "version": champion.version, "inputs": inputs}
    return store.promotion(store.records.claim(PINS, name, pin)["generation"])


def _predictions(
    store: ModelStore,
    model: Model,
    promotion: Promotion,
    version: ModelVersion,
    features: Part,
    batch_digest: str,
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
        "batch_digest": pa.scalar(batch_digest),
        "definition": pa.scalar(version.definition),
        "features_digest": pa.scalar(features.digest),
        "variant": pa.scalar("champion"),
    }
    table = rows.select([*model.keys, model.time]).append_column("prediction", pa.array(values))
    for name, value in constants.items():
        table = table.append_column(name, pa.repeat(value, rows.num_rows))
    return table
