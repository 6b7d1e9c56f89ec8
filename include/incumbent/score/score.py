"""Score one partition with the champion that was pinned for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from incumbent.config import Model
from incumbent.errors import ModelError
from incumbent.features.build import build, committed
from incumbent.features.inputs import Inputs, pinned_inputs
from incumbent.features.rows import feature_rows
from incumbent.records import ModelVersion, Part, Promotion, digest_of
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
    store: ModelStore, model: Model, partition: str, predict: Predict, generation: int | None = None, run: str = ""
) -> ScoreResult:
    """Replace one predictions partition by the pinned champion's predictions.

    The champion is resolved once for these inputs and pinned, so a run that is cleared next spring
    scores with last spring's champion. Inputs that were scored already are left as they are unless
    a generation is named: scoring again with another champion is an explicit act. Such a run acts once:
    cleared, it finds what it did, and leaves alone what other runs and corrections have scored since.

    Args:
        store: The model's store.
        model: Its configuration.
        partition: Partition key.
        predict: Verified prediction of a version; see `incumbent.estimators.Estimator.predict`.
        generation: Score again with this generation's version.
        run: Airflow run id; empty for a call that belongs to no run.

    Raises:
        ModelError: The generation is not in the ledger, or the version's predictions are no numbers.
        FeatureError: A source has nothing for this partition, or the version's features cannot be computed.
    """
    if not run or generation is None:
        return _score(store, model, partition, predict, generation)
    pin = f"score-{partition}-run-{digest_of(run)[:16]}"
    if store.records.has(PINS, pin):
        return _done_by_run(partition, store.records.get_plain(PINS, pin))
    result = _score(store, model, partition, predict, generation)
    did = {"generation": result.generation, "version": result.version, "rows": result.rows}
    store.records.claim(PINS, pin, did)  # last: a run that is killed before goes on
    return result


def champion_of(store: ModelStore, model: Model, partition: str) -> Promotion | None:
    """Return the champion that is pinned for what a partition holds now, and pin it if nobody has."""
    return _of_its_day(store, pinned_inputs(store, model, partition))


def scored_by_generation(store: ModelStore, generation: int) -> dict[str, int]:
    """Return the partitions whose predictions a generation made, with their rows: what a rollback leaves behind."""
    found = {}
    for key, part in store.predictions.parts().items():
        rows = store.predictions.read_parts([part], ["generation"]).slice(0, 1).to_pylist()
        if rows and rows[0]["generation"] == generation:
            found[key] = part.rows
    return found


def _done_by_run(partition: str, did: Mapping[str, Any]) -> ScoreResult:
    what = f"scored {partition} with generation {did['generation']}" if did["generation"] else f"left {partition} alone"
    message = f"This run {what} already; start a new run to score it again."
    return ScoreResult(partition, did["generation"], did["version"], did["rows"], changed=False, message=message)


def _score(store: ModelStore, model: Model, partition: str, predict: Predict, generation: int | None) -> ScoreResult:
    inputs = pinned_inputs(store, model, partition)
    promotion = _of_its_day(store, inputs) if generation is None else _named(store, generation)
    if promotion is None:
        message = "There was no champion when this came: nothing is scored. To score it now, name a generation."
        return ScoreResult(partition, 0, "", 0, changed=False, message=message)
    if generation is None and (held := _scored(store, inputs)):
        return held
    version = store.records.get(ModelVersion, promotion.version)
    features = committed(store, version.definition, inputs)
    if features is None:  # FEATURES ran before this definition had the seat, or for another delivery
        built = build(store, model, version.definition, partition)
        if built.part is None:
            message = "" if built.hold is None else built.hold.message
            return ScoreResult(partition, 0, version.digest, 0, changed=False, message=message)
        features = built.part
    rows = _predictions(store, model, promotion, version, features, inputs.batch.digest, predict)
    commit = store.predictions.replace(partition, rows)
    message = f"{rows.num_rows} rows of {partition} scored by generation {promotion.generation}."
    LOG.info("%s", message)
    return ScoreResult(
        partition, promotion.generation, version.digest, rows.num_rows, changed=commit.changed, message=message
    )


def _scored(store: ModelStore, inputs: Inputs) -> ScoreResult | None:
    """Return what the predictions table holds if it was scored from exactly these inputs."""
    part = store.predictions.part(inputs.partition)
    if part is None:
        return None
    if not part.rows:
        return ScoreResult(inputs.partition, 0, "", 0, changed=False, message="Every row of it was erased.")
    columns = ["generation", "version", "definition", "features_digest", "batch_digest"]
    first = store.predictions.read([inputs.partition], columns).slice(0, 1).to_pylist()[0]
    features = committed(store, first["definition"], inputs)
    # A corrected delivery may change no feature: its rows still say which delivery they are of.
    if features is None or (features.digest, inputs.batch.digest) != (first["features_digest"], first["batch_digest"]):
        return None
    message = f"These inputs are scored already ({part.rows} rows); name a generation to score them again."
    return ScoreResult(
        inputs.partition, first["generation"], first["version"], part.rows, changed=False, message=message
    )


def _named(store: ModelStore, generation: int) -> Promotion:
    ledger = {promotion.generation: promotion for promotion in store.ledger()}
    if generation not in ledger:
        raise ModelError(
            "no such generation",
            where=f"ledger of {store.name}",
            expected=f"one of {sorted(ledger)}",
            found=generation,
            next_step="name a generation of the ledger",
        )
    return ledger[generation]


def _of_its_day(store: ModelStore, inputs: Inputs) -> Promotion | None:
    """Return the champion that was pinned for these inputs; the first run pins the champion of its day.

    That there was none is pinned too: a cleared run must not score what it left alone.
    """
    champion = store.champion()
    pin = {"generation": 0 if champion is None else champion.generation, "inputs": inputs.digest}
    stands = store.records.claim(PINS, f"score-{inputs.partition}-{inputs.digest[:16]}", pin)
    return store.promotion(stands["generation"]) if stands["generation"] else None


def _predictions(
    store: ModelStore,
    model: Model,
    promotion: Promotion,
    version: ModelVersion,
    features: Part,
    batch: str,
    predict: Predict,
) -> pa.Table:
    rows = feature_rows(store, version.definition, [features])
    values = np.asarray(predict(version, rows), dtype=np.float64)
    if values.shape != (rows.num_rows, *version.row_shape) or not np.isfinite(values).all():
        raise ModelError(
            f"predictions are not one finite number per row{' and class' if version.classes else ''}",
            where=f"model {model.name}, generation {promotion.generation}, partition {features.partition}",
            expected=f"shape {(rows.num_rows, *version.row_shape)}, all finite",
            found=f"shape {values.shape}, {int((~np.isfinite(values)).sum())} not finite",
            next_step="roll back to an earlier generation and look at the version's gate report",
        )
    constants = {
        "generation": pa.scalar(promotion.generation, pa.int64()),
        "version": pa.scalar(version.digest),
        "batch_digest": pa.scalar(batch),
        "definition": pa.scalar(version.definition),
        "features_digest": pa.scalar(features.digest),
        "variant": pa.scalar("champion"),
    }
    table = rows.select([*model.keys, model.time])
    for name, column in _columns(version, values).items():
        table = table.append_column(name, column)
    for name, value in constants.items():
        table = table.append_column(name, pa.repeat(value, rows.num_rows))
    return table


def _columns(version: ModelVersion, values: np.ndarray) -> dict[str, pa.Array]:
    """Return what is predicted as columns: a number; or the likeliest class, its probability, and those of all."""
    if not version.classes:
        return {"prediction": pa.array(values)}
    best = values.argmax(axis=1)  # of equals the first
    ends = np.arange(0, values.size + 1, len(version.classes), dtype=np.int32)
    return {
        "prediction": pa.array(version.classes, pa.string()).take(pa.array(best)),
        "probability": pa.array(values[np.arange(len(values)), best]),
        "probabilities": pa.ListArray.from_arrays(ends, values.ravel()),
    }
