"""Drift as Evidently's preset decides it, for a team that keeps what it has.

Its tests are taken as they are: no correction for many columns, no past batches, rows that are null dropped. What would
make it raise is taken out before and named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from incumbent.config import EvidentlyEngine
from incumbent.errors import ConfigError
from incumbent.monitor.verdicts import DriftVerdict

ENGINE = "evidently"
WHOLE, SOME, NONE = "retrain candidate", "warning", "none"
SHOWN = 10
NO_DATA = "insufficient data"


def evidently_verdict(
    partition: str,
    generation: int,
    version: str,
    batch: pa.Table,
    reference: pa.Table,
    batches: int,
    importance: Mapping[str, float],
    settings: EvidentlyEngine,
    scores: Sequence[str],
) -> DriftVerdict:
    """Judge a sample of a batch against one of the training rows by Evidently's preset.

    Args:
        partition: Partition key.
        generation: Champion that scored it.
        version: Its version digest.
        batch: Features and scores of a sample of the batch.
        reference: The same of the training rows.
        batches: Reference partitions.
        importance: Feature to its share of gain.
        settings: Its parameters.
        scores: Names of the scores.

    Raises:
        ConfigError: Evidently knows no such method.
    """

    def verdict(tier: str, score: Mapping[str, Any], features: tuple[Mapping[str, Any], ...], why: str) -> DriftVerdict:
        return DriftVerdict(
            partition, generation, version, tier, batches, score, features, f"{partition}: {why}",
            basis=ENGINE if why != few else NO_DATA, engine=ENGINE, left_out=tuple(left_out),
            settings=settings.model_dump(mode="json"),
        )  # fmt: skip

    names = [name for name in reference.column_names if name in batch.column_names]
    usable = [name for name in names if _has_values(batch[name]) and _has_values(reference[name])]
    usable = [name for name in usable if _is_text(batch[name]) is _is_text(reference[name])]
    left_out = [name for name in reference.column_names if name not in usable]
    few = "not enough data for a verdict."
    if min(batch.num_rows, reference.num_rows) < 2 or not usable:
        return verdict(NONE, {}, (), few)
    share, drifted = _run(batch.select(usable), reference.select(usable), settings, f"model of partition {partition}")
    moved = sorted(
        ({"feature": name, "importance": importance.get(name, 0.0), **numbers} for name, numbers in drifted.items()),
        key=lambda each: (not each["drifted"], -float(each["importance"]), str(each["feature"])),
    )
    alarms = tuple(each for each in moved if each["drifted"] and each["feature"] not in scores)
    of_scores = [each for each in moved if each["feature"] in scores]
    score = {**of_scores[0], "column": of_scores[0]["feature"]} if of_scores else {}
    tier = WHOLE if share >= settings.drift_share else SOME if any(each["drifted"] for each in moved) else NONE
    why = (
        f"Evidently says that {share:.0%} of {len(usable)} columns have drifted; {settings.drift_share:.0%} are a "
        "dataset drift." + (f" Left out, without values: {', '.join(left_out[:5])}." if left_out else "")
    )
    return verdict(tier, score, alarms[:SHOWN], why)


def _run(
    batch: pa.Table, reference: pa.Table, settings: EvidentlyEngine, where: str
) -> tuple[float, dict[str, dict[str, Any]]]:
    """Return the share of columns that drifted, and of each column statistic, threshold and verdict."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    text = [name for name in reference.column_names if _is_text(reference[name])]
    kinds = DataDefinition(
        numerical_columns=[name for name in reference.column_names if name not in text], categorical_columns=text
    )
    sides = [Dataset.from_pandas(_plain(rows).to_pandas(), data_definition=kinds) for rows in (batch, reference)]
    preset = DataDriftPreset(**settings.model_dump(exclude={"rows"}, exclude_none=True))
    try:
        said = Report([preset], include_tests=True).run(*sides).dict()
    except ValueError as error:
        if "stattest" not in str(error):
            raise
        raise ConfigError(
            "Evidently knows no such method",
            where=f"{where}: monitor.evidently",
            expected="a name of a drift method",
            found=str(error)[:300],
            next_step="correct num_method or cat_method in model.yaml",
        ) from error
    values = {each["id"]: each["value"] for each in said["metrics"]}
    share, found = 0.0, dict[str, dict[str, Any]]()
    for test in said["tests"]:
        about, value = test["metric_config"]["params"], values[test["metric_config"]["metric_id"]]
        if "column" not in about:
            share = float(value["share"])
            continue
        number, threshold = float(value), float(about["threshold"])
        is_drifted = str(getattr(test["status"], "value", test["status"])) == "FAIL"
        is_p_value = (number < threshold) is is_drifted  # of a distance the larger is the worse
        found[str(about["column"])] = {
            "drifted": is_drifted,
            "method": str(about["method"]),
            "value": number,
            "threshold": threshold,
            "effect": 1.0 - number if is_p_value else number,
        }
    return share, found


def _is_text(values: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_string(values.type))


def _has_values(values: pa.ChunkedArray) -> bool:
    return bool(len(_finite(values).drop_null()))


def _finite(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return numbers as doubles, and null for what is none: Evidently drops it, and raises when nothing is left."""
    if _is_text(values):
        return values
    kind = values.type
    numbers = (values.cast(pa.int8()) if pa.types.is_boolean(kind) else values).cast(pa.float64(), safe=False)
    return pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))


def _plain(rows: pa.Table) -> pa.Table:
    return pa.table({name: _finite(rows[name]) for name in rows.column_names})


def with_scores(rows: pa.Table, scores: np.ndarray, names: Sequence[str]) -> pa.Table:
    """Return feature rows with their scores as columns.

    Args:
        rows: Features.
        scores: Shape (n_rows,) or (n_rows, n_classes).
        names: What the scores are called.
    """
    for name, column in zip(names, scores.reshape(rows.num_rows, len(names)).T, strict=True):
        rows = rows.append_column(name, pa.array(np.ascontiguousarray(column, dtype=np.float64)))
    return rows
