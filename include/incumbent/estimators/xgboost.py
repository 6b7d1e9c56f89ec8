"""XGBoost: boosters in UBJSON, verified before a byte is parsed, parsed first in a child process."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xgboost as xgb

from incumbent.estimators import first_parse
from incumbent.estimators.encoding import Encoder
from incumbent.estimators.model_file import SEAL, check_digest, check_seal, seal_of, survive
from incumbent.estimators.rounds import Given, Rounds
from incumbent.estimators.shards import Shard
from incumbent.estimators.xgboost_rounds import XgboostRounds
from incumbent.records import ModelVersion

BATCH_ROWS = 262_144
COVER = re.compile(r"cover=([^,\s]+)")
LEAF, QUANTITY = -1, 0  # in a booster's JSON: no left child, no category


def fit(given: Given, train: Shard, validation: Shard | None, start: bytes | None) -> Rounds:
    """Begin a fit, or go on from a booster as UBJSON."""
    return XgboostRounds(given, train, validation, start)


def save(model: bytes, encoder: Encoder, definition: str, snapshot: str) -> bytes:
    """Return a booster file that says what its numbers mean."""
    booster = parse(model)
    booster.set_attr(**{SEAL: seal_of(encoder, definition, snapshot)})
    return as_ubj(booster)


def verify(data: bytes, expected_digest: str) -> None:
    """Refuse bytes that are not what they should be, or that a child process does not survive.

    A malformed file can kill the process that parses it (XGBoost 3.2 segfaults on ten bytes), so
    the digest is checked first and the first parse happens in a child.

    Raises:
        ModelError: Other bytes than expected, or bytes that cannot be parsed.
    """
    check_digest(data, expected_digest)
    library = Path(xgb.__file__).parent / "lib" / "libxgboost.so"
    survive(first_parse.__file__, [str(library)], data, expected_digest, "XGBoost")


def load(data: bytes, version: ModelVersion) -> xgb.Booster:
    """Return a version's booster from bytes that are what they should be and that a child process survived.

    Raises:
        ModelError: Other bytes than expected, bytes that cannot be parsed, or another manifest than the file's.
    """
    verify(data, version.digest)
    booster = parse(data)
    check_seal(booster.attr(SEAL), version)
    return booster


def predict(booster: xgb.Booster, version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
    """Return one prediction per row, or one probability per row and class; see `Estimator.predict`.

    In place: XGBoost's own matrix would be a second copy of the numbers, and gives the same predictions.
    """
    encoder = Encoder(version.features, version.categories)
    matrices = (encoder.matrix(rows.slice(start, BATCH_ROWS)) for start in range(0, rows.num_rows, BATCH_ROWS))
    found = [np.asarray(booster.inplace_predict(each, validate_features=False), np.float64) for each in matrices]
    return np.concatenate([np.empty((0, *version.row_shape)), *found])


def explain(booster: xgb.Booster, version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
    """Return what each feature adds to a row's margin, the bias last; see `Estimator.explain`.

    Exact TreeSHAP: a row's numbers sum to its margin, a logit for a binary task. For a multiclass one the margins of a
    row's classes are the logarithms of their probabilities, but for one number that they have in common.
    """
    found = [
        np.asarray(booster.predict(data, pred_contribs=True), dtype=np.float64) for data in _matrices(version, rows)
    ]
    return np.concatenate([np.empty((0, *version.row_shape, len(version.features) + 1)), *found])


def parse(data: bytes) -> xgb.Booster:
    """Return a booster from trusted bytes."""
    booster = xgb.Booster()
    booster.load_model(bytearray(data))
    return booster


def as_ubj(booster: xgb.Booster) -> bytes:
    """Return a booster as UBJSON."""
    return bytes(booster.save_raw("ubj"))


def _matrices(version: ModelVersion, rows: pa.Table) -> Iterator[xgb.DMatrix]:
    encoder = Encoder(version.features, version.categories)
    for start in range(0, rows.num_rows, BATCH_ROWS):
        matrix = encoder.matrix(rows.slice(start, BATCH_ROWS))
        yield xgb.DMatrix(
            matrix, feature_names=list(encoder.features), feature_types=encoder.types, enable_categorical=True
        )


def splits(booster: xgb.Booster, version: ModelVersion) -> dict[str, list[tuple[float, float]]]:
    """Return where the trees split each quantity, and what each split has gained; see `Estimator.splits`."""
    found: dict[str, list[tuple[float, float]]] = {}
    for tree in json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]:
        names = ("left_children", "split_type", "split_indices", "split_conditions", "loss_changes")
        for left, kind, feature, condition, gain in zip(*(tree[name] for name in names), strict=True):
            if left != LEAF and kind == QUANTITY:
                found.setdefault(version.features[feature], []).append((float(condition), float(gain)))
    return found


def thresholds(model: bytes, features: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
    """Return where the trees split each feature that is a quantity, in order; one that they never split is absent."""
    found: dict[int, set[float]] = {}
    for tree in json.loads(parse(model).save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]:
        nodes = zip(
            tree["left_children"], tree["split_type"], tree["split_indices"], tree["split_conditions"], strict=True
        )
        for left, kind, feature, condition in nodes:
            if left != LEAF and kind == QUANTITY:
                found.setdefault(feature, set()).add(condition)
    return {features[feature]: np.array(sorted(values), np.float32) for feature, values in found.items()}


def steps(model: bytes) -> float:
    """Return how many nodes of the trees a training row passes on the mean, by the weight that the trees give rows."""
    total = 0.0
    for tree in parse(model).get_dump(with_stats=True):
        covers = [(float(found[1]), "leaf=" not in line) for line in tree.splitlines() if (found := COVER.search(line))]
        whole = covers[0][0] if covers else 0.0
        total += sum(cover for cover, is_split in covers if is_split) / whole if whole else 0.0
    return total
