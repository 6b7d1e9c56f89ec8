"""A domain classifier: can a batch be told from the reference, by which columns, and by which of them only together?

It explains an alarm and decides nothing. Each row is scored by trees that have not seen it, nor any row that shares its
luck, so trees that learn by heart gain nothing: flights of one hour have the same weather, and by that alone any two
months are told apart. A second model of stumps knows every column and no two of them at once: what the first one tells
beyond it lies in how columns go together, which tests of single columns cannot see.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from incumbent.stats import Difference, auc_influence
from incumbent.stats.differences import from_influence

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
MAX_ROWS = 100_000  # of both sides together
MIN_ROWS = 100  # of each side
FOLDS = 2
LEVELS = 200  # of a text column; the others are one
LARGE = 1e30  # float32 has no larger ones to spare
SEED = 7
TREES: Mapping[str, Any] = {
    "objective": "binary:logistic", "tree_method": "hist", "max_bin": 64, "max_depth": 4, "eta": 0.25,
    "min_child_weight": 10, "lambda": 5, "verbosity": 0,
}  # fmt: skip
ROUNDS, STUMPS = 50, 80
SURE = 0.01
SHOWN = 10
CLIP = 20.0  # no reference row counts for more than so many
EDGE = 1e-4


@dataclass(frozen=True)
class Domain:
    """What a domain classifier has found.

    Attributes:
        finding: What is recorded: state (`told apart`, `alike` or `insufficient data`), rows, auc with low and high
            (95 %), auc_apart (of stumps), columns with their importance, together, left_out, sentence.
        reference_rows: Positions of the reference rows that were drawn.
        batch_rows: The same of the batch.
        reference_scores: Chance that a reference row is one of the batch, out of fold, as if both had as many rows.
        batch_scores: The same of the batch's rows.
    """

    finding: Mapping[str, Any]
    reference_rows: Codes
    batch_rows: Codes
    reference_scores: Floats
    batch_scores: Floats

    @property
    def weights(self) -> Floats:
        """What each drawn reference row weighs to stand for the batch: clipped density ratios with mean 1."""
        chance = np.clip(self.reference_scores, EDGE, 1 - EDGE)
        ratio = np.minimum(chance / (1 - chance), CLIP)
        weights: Floats = ratio / ratio.mean() if len(ratio) else ratio
        return weights


def tell_apart(
    reference: pa.Table,
    batch: pa.Table,
    columns: Sequence[str],
    max_rows: int = MAX_ROWS,
    seed: int = SEED,
    threads: int | None = None,
    clusters: tuple[Codes, Codes] | None = None,
) -> Domain:
    """Train a classifier that tells the batch's rows from the reference's, on a bounded sample of both.

    Args:
        reference: Reference rows.
        batch: Rows of the batch.
        columns: Features; those that a side lacks, or that have another type there, are left out and named.
        max_rows: Most rows of both sides together.
        seed: Of the sample and the folds.
        threads: Threads of XGBoost; all if None.
        clusters: Cluster code of each row of the reference, and of the batch; None for independent rows.
    """
    random = np.random.default_rng(seed)
    first, second = (_drawn(rows.num_rows, max_rows // 2, random) for rows in (reference, batch))
    usable = [name for name in columns if _fits(reference, batch, name)]
    left_out = [name for name in columns if name not in usable]
    empty = Domain({}, first, second, np.full(len(first), 0.5), np.full(len(second), 0.5))
    if min(len(first), len(second)) < MIN_ROWS or not usable:
        sentence = f"too few rows or columns to tell the batch from the reference ({len(second)} and {len(first)} rows)"
        return _with(empty, {"state": "insufficient data", "left_out": left_out, "sentence": sentence})
    codes = None if clusters is None else _beside(clusters[0][first], clusters[1][second])
    if codes is not None and min(len(np.unique(codes[: len(first)])), len(np.unique(codes[len(first) :]))) < FOLDS:
        sentence = "the rows of one side share their luck: what they have in common cannot be told from a change"
        return _with(empty, {"state": "insufficient data", "left_out": left_out, "sentence": sentence})
    values, kinds = _matrix(reference.take(pa.array(first)), batch.take(pa.array(second)), usable)
    truth = np.repeat([0.0, 1.0], [len(first), len(second)])
    folds = _folds(truth, codes, random)
    weights = np.where(truth > 0, 0.5 / len(second), 0.5 / len(first)) * len(truth)
    shared = {**TREES, "seed": seed, **({"nthread": threads} if threads else {})}
    together, gains, pairs = _out_of_fold(values, kinds, truth, weights, folds, shared, ROUNDS)
    apart, _, _ = _out_of_fold(values, kinds, truth, weights, folds, {**shared, "max_depth": 1}, STUMPS)
    finding = _finding(truth, codes, together, apart, gains, pairs, usable)
    whole = Domain({}, first, second, together[truth == 0], together[truth == 1])
    return _with(whole, {**finding, "rows": [len(first), len(second)], "left_out": left_out})


def _with(found: Domain, finding: Mapping[str, Any]) -> Domain:
    return Domain(finding, found.reference_rows, found.batch_rows, found.reference_scores, found.batch_scores)


def _drawn(rows: int, most: int, random: np.random.Generator) -> Codes:
    chosen = np.arange(rows) if rows <= most else np.sort(random.choice(rows, most, replace=False))
    return chosen.astype(np.int64)


def _fits(reference: pa.Table, batch: pa.Table, name: str) -> bool:
    if not all(name in rows.column_names for rows in (reference, batch)):
        return False
    kinds = [rows[name].type for rows in (reference, batch)]
    if pa.types.is_string(kinds[0]) or pa.types.is_string(kinds[1]):
        return bool(kinds[0] == kinds[1])
    return all(pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds)


def _matrix(reference: pa.Table, batch: pa.Table, names: Sequence[str]) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Return both tables as one matrix, categories as codes, and XGBoost's kind of each column."""
    out = np.empty((reference.num_rows + batch.num_rows, len(names)), dtype=np.float32)
    kinds = []
    for at, name in enumerate(names):
        both = pa.chunked_array([*reference[name].chunks, *batch[name].chunks], reference[name].type)
        is_text = pa.types.is_string(both.type)
        kinds.append("c" if is_text else "q")
        out[:, at] = _codes(both) if is_text else _numbers(both)
    return out, kinds


def _codes(values: pa.ChunkedArray) -> Floats:
    counted = pc.value_counts(values.drop_null())
    counts = dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))
    top = sorted(counts, key=lambda level: (-counts[level], level))[:LEVELS]
    at = pc.fill_null(pc.index_in(values, pa.array(top, pa.string())), len(top))
    codes: Floats = at.to_numpy().astype(np.float64)
    codes[pc.is_null(values).to_numpy()] = np.nan
    return codes


def _numbers(values: pa.ChunkedArray) -> Floats:
    return np.clip(np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64), -LARGE, LARGE)


def _beside(first: Codes, second: Codes) -> Codes:
    """Return the codes of both sides; no cluster is on both."""
    return np.concatenate([first, second + int(first.max(initial=0)) + 1 - int(second.min(initial=0))])


def _folds(truth: Floats, clusters: Codes | None, random: np.random.Generator) -> Codes:
    """Return each row's fold: about as many clusters of each side in every one, and no cluster in two."""
    codes = np.unique(np.arange(len(truth)) if clusters is None else clusters, return_inverse=True)[1]
    folds = np.empty(int(codes.max()) + 1, dtype=np.int64)
    for side in (0.0, 1.0):
        groups = np.unique(codes[truth == side])
        folds[random.permutation(groups)] = np.arange(len(groups)) % FOLDS
    out: Codes = folds[codes]
    return out


def _out_of_fold(
    values: npt.NDArray[np.float32], kinds: Sequence[str], truth: Floats, weights: Floats, folds: Codes,
    params: Mapping[str, Any], rounds: int,
) -> tuple[Floats, Floats, dict[tuple[int, int], float]]:  # fmt: skip
    """Return each row's score by trees that have not seen it, each column's gain, and that of pairs on one path."""
    import xgboost as xgb

    scores, gains = np.empty(len(truth)), np.zeros(values.shape[1])
    pairs = dict[tuple[int, int], float]()
    for fold in range(FOLDS):
        held = folds == fold
        rows = xgb.QuantileDMatrix(
            values[~held], truth[~held], weight=weights[~held], feature_types=list(kinds), enable_categorical=True,
            max_bin=int(params["max_bin"]), nthread=params.get("nthread"),
        )  # fmt: skip
        booster = xgb.train(dict(params), rows, rounds)
        others = xgb.DMatrix(values[held], feature_types=list(kinds), enable_categorical=True)
        scores[held] = booster.predict(others)
        for tree in booster.get_dump(dump_format="json", with_stats=True):
            _count_gain(json.loads(tree), (), gains, pairs)
    return scores, gains, pairs


def _count_gain(
    node: Mapping[str, Any], above: tuple[int, ...], gains: Floats, pairs: dict[tuple[int, int], float]
) -> None:
    if "split" not in node:
        return
    column, gain = int(str(node["split"]).removeprefix("f")), float(node["gain"])
    gains[column] += gain
    for other in set(above) - {column}:
        pair = (min(column, other), max(column, other))
        pairs[pair] = pairs.get(pair, 0.0) + gain
    for child in node["children"]:
        _count_gain(child, (*above, column), gains, pairs)


def _finding(
    truth: Floats, codes: Codes | None, together: Floats, apart: Floats, gains: Floats,
    pairs: Mapping[tuple[int, int], float], names: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    (area, psi), (area_apart, psi_apart) = auc_influence(truth, together), auc_influence(truth, apart)
    found = from_influence(area, psi, codes)
    more: Difference = from_influence(area - area_apart, psi - psi_apart, codes)
    low, high = found.lower(0.025), found.upper(0.025)
    is_told = from_influence(area - 0.5, psi, codes).p < SURE
    order = np.argsort(-gains, kind="stable")
    whole = float(gains.sum())
    columns = [
        {"column": names[at], "importance": float(gains[at]) / whole} for at in order[:SHOWN] if whole and gains[at]
    ]
    joint = _joint(pairs, names) if is_told and more.p < SURE else []
    return {
        "state": "told apart" if is_told else "alike",
        "auc": area,
        "error": found.error,
        "low": max(0.0, low),
        "high": min(1.0, high),
        "auc_apart": area_apart,
        "more": more.estimate,
        "more_p": more.p,
        "columns": columns if is_told else [],
        "together": joint,
        "sentence": _sentence(bool(is_told), area, area_apart, (low, min(1.0, high)), columns, joint),
    }


def _joint(pairs: Mapping[tuple[int, int], float], names: Sequence[str]) -> list[str]:
    """Return the columns of the pairs that gain most by standing on one path."""
    if not pairs:
        return []
    largest = max(pairs.values())
    kept = sorted((pair for pair, gain in pairs.items() if gain >= largest / 2), key=lambda pair: -pairs[pair])
    return list(dict.fromkeys(names[at] for pair in kept for at in pair))[:5]


def _sentence(
    is_told: bool, area: float, apart: float, bounds: tuple[float, float], columns: Sequence[Mapping[str, Any]],
    joint: Sequence[str],
) -> str:  # fmt: skip
    if not is_told:
        return f"a classifier cannot tell the batch from the reference (AUC {area:.3f})"
    shown = ", ".join(f"{each['column']} ({each['importance']:.0%})" for each in columns[:3])
    said = f"a classifier tells the batch from the reference with AUC {area:.3f} ({bounds[0]:.3f} to {bounds[1]:.3f}), "
    said += f"most by {shown}"
    return f"{said}; {', '.join(joint)} moved together (each by itself: {apart:.3f})" if joint else said
