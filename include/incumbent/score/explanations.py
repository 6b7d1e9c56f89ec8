"""Why a prediction is what it is, for the rows about which somebody will ask: what each feature adds to its margin.

Shapley values cost more than the prediction, so a few rows of a partition are explained: the largest, the closest
calls, and some by chance, for what is usual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from incumbent.config import Explain, Model
from incumbent.estimators.abilities import ABILITIES
from incumbent.records import ModelVersion, Part
from incumbent.score.rows import BATCH_ROWS
from incumbent.store import ModelStore

TOP, LOW, NEAR, SAMPLE = "top", "low", "near", "sample"
MADE = ("generation", "version", "batch_digest", "definition", "features_digest", "variant")
Floats = npt.NDArray[np.float64]
Explaining = Callable[[ModelVersion, pa.Table], Floats]


@dataclass(frozen=True)
class Explained:
    """What was explained of a partition.

    Attributes:
        rows: Predictions that are explained.
        changed: Whether this call committed anything.
        message: One sentence for a person.
    """

    rows: int
    changed: bool
    message: str


def explain(store: ModelStore, model: Model, partition: str, explaining: Explaining) -> Explained:
    """Replace a partition's explanations by those of the predictions that it holds now.

    One row for each feature that is told, the one that adds or takes most first: keys, time, `chosen` (why this row),
    `class` (of several), `base` and `rest` (what the version says without any feature, and what the others add),
    `rank`, `feature`, `adds`, and the columns that say what made the prediction. Base, rest and all `adds` of a row sum
    to its margin: the logit of a probability, or the number itself.

    Args:
        store: The model's store.
        model: Its configuration.
        partition: Partition key.
        explaining: Contributions of a version; see `incumbent.estimators.Estimator.explain`.

    Raises:
        StoreError: Predictions or features are gone or have changed.
    """
    part = store.predictions.part(partition)
    if part is None or not part.rows:
        return Explained(0, False, f"{partition} has no predictions to explain.")
    chosen = _chosen(store, model, part)
    told = []
    for version, rows in _by_version(store, _taken(store, part, chosen)):
        if ABILITIES[version.estimator].explained:
            told.append(_told(model, version, _with_features(store, model, part, rows), explaining))
    if not told:
        return Explained(0, False, "The version is of an estimator that is not explained.")
    prepared = store.explanations.prepare(partition, pa.concat_tables(told))
    commit = store.explanations.commit(prepared, lambda: store.predictions.part(partition) == part)
    return Explained(len(chosen), commit.changed, f"{len(chosen)} predictions of {partition} are explained.")


def _chosen(store: ModelStore, model: Model, part: Part) -> dict[int, str]:
    """Return the positions of the rows that are explained, each with why; the same ones for the same content."""
    settings = model.explain
    each = max(1, round(min(settings.most, settings.share * part.rows) / 3))
    drawn = np.random.default_rng(int(part.digest[:8], 16)).integers(0, part.rows, each)
    found = {int(at): SAMPLE for at in drawn}
    for why, keys in _orders(model, settings):
        kept: list[tuple[float, int]] = []
        for first, rows in _batches(store, part, [_score(model)]):
            order = keys(rows)
            best = np.argsort(order, kind="stable")[:each]
            kept = sorted([*kept, *((float(order[at]), first + int(at)) for at in best)])[:each]
        found |= {at: why for _, at in kept}
    return dict(sorted(found.items()))


def _orders(model: Model, settings: Explain) -> list[tuple[str, Callable[[pa.RecordBatch], Floats]]]:
    """Return what rows are sought by, smallest first."""

    def scores(rows: pa.RecordBatch) -> Floats:
        values: Floats = np.asarray(rows[_score(model)], dtype=np.float64)
        return values

    if model.label.classes:
        return [(TOP, lambda rows: -scores(rows)), (NEAR, scores)]  # the surest, and the least sure
    if model.task == "binary":
        return [(TOP, lambda rows: -scores(rows)), (NEAR, lambda rows: np.abs(scores(rows) - settings.threshold))]
    return [(TOP, lambda rows: -scores(rows)), (LOW, scores)]


def _score(model: Model) -> str:
    return "probability" if model.label.classes else "prediction"


def _batches(store: ModelStore, part: Part, columns: list[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
    first = 0
    for batch in store.predictions.batches(part, BATCH_ROWS, columns):
        yield first, batch
        first += batch.num_rows


def _taken(store: ModelStore, part: Part, chosen: dict[int, str]) -> pa.Table:
    positions, found = np.array(list(chosen)), []
    for first, batch in _batches(store, part, store.predictions.columns()):
        mine = positions[(positions >= first) & (positions < first + batch.num_rows)]
        if mine.size:
            rows = pa.Table.from_batches([batch]).take(pa.array(mine - first))
            found.append(rows.append_column("chosen", pa.array([chosen[int(at)] for at in mine])))
    return pa.concat_tables(found)


def _by_version(store: ModelStore, rows: pa.Table) -> Iterator[tuple[ModelVersion, pa.Table]]:
    for digest in sorted(set(rows["version"].to_pylist())):
        yield store.records.get(ModelVersion, digest), rows.filter(pc.equal(rows["version"], digest))


def _with_features(store: ModelStore, model: Model, part: Part, rows: pa.Table) -> pa.Table:
    """Return predictions of one version beside the features that they were made from, by key.

    What is said of a row has names that no feature can have.
    """
    keys, first = list(model.keys), rows.slice(0, 1).to_pylist()[0]
    said = rows.select([*keys, "chosen", *MADE, "prediction"])
    said = said.rename_columns([name if name in keys else f"#{name}" for name in said.column_names])
    features = Part(part.partition, first["features_digest"], 0)
    found = [
        pa.Table.from_batches([batch]).join(said, keys, join_type="inner")
        for batch in store.features(first["definition"]).batches(features, BATCH_ROWS)
    ]
    return pa.concat_tables(found).sort_by([(name, "ascending") for name in keys])


def _told(model: Model, version: ModelVersion, rows: pa.Table, explaining: Explaining) -> pa.Table:
    """Return a row for each feature that is told of each prediction."""
    values, shown = np.asarray(explaining(version, rows), dtype=np.float64), rows.num_rows
    columns: dict[str, pa.Array] = {}
    if version.classes:
        of = pc.index_in(rows["#prediction"], value_set=pa.array(version.classes, pa.string())).to_numpy()
        values = values[np.arange(shown), of]
        columns["class"] = rows["#prediction"]
    adds, base = values[:, :-1], values[:, -1]
    count = min(model.explain.features, adds.shape[1])
    order = np.argsort(-np.abs(adds), axis=1, kind="stable")[:, :count]
    best = np.take_along_axis(adds, order, axis=1)
    columns |= {"base": pa.array(base), "rest": pa.array(adds.sum(axis=1) - best.sum(axis=1))}
    given = rows.select([*model.keys, model.time]).append_column("chosen", rows["#chosen"])
    for name, column in columns.items():
        given = given.append_column(name, column)
    repeated = given.take(pa.array(np.repeat(np.arange(shown), count)))
    names = pa.array(version.features, pa.string())
    repeated = repeated.append_column("rank", pa.array(np.tile(np.arange(1, count + 1), shown), pa.int64()))
    repeated = repeated.append_column("feature", names.take(pa.array(order.ravel())))
    repeated = repeated.append_column("adds", pa.array(best.ravel()))
    made = rows.select([f"#{name}" for name in MADE]).slice(0, 1).to_pylist()[0]
    for name in MADE:
        repeated = repeated.append_column(name, pa.repeat(pa.scalar(made[f"#{name}"]), repeated.num_rows))
    return repeated.combine_chunks()
