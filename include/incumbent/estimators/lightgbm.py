"""LightGBM: boosters in its own text format, verified before a byte is parsed, parsed first in a child process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from incumbent.errors import ModelError, TrainingError
from incumbent.estimators import lightgbm_first_parse
from incumbent.estimators.encoding import Encoder, Matrix
from incumbent.estimators.lightgbm_rounds import LightgbmRounds
from incumbent.estimators.model_file import SEAL, check_digest, check_seal, seal_of, survive
from incumbent.estimators.rounds import Given, Rounds
from incumbent.estimators.shards import Shard
from incumbent.records import ModelVersion, digest_of

BATCH_ROWS = 262_144
MARK = f"\n{SEAL}:".encode()  # on the last line, where LightGBM's parser has long found all that it looks for


def fit(given: Given, train: Shard, validation: Shard | None, start: bytes | None) -> Rounds:
    """Begin a fit, or go on from a booster as text."""
    return LightgbmRounds(given, train, validation, start)


def save(model: bytes, encoder: Encoder, definition: str, snapshot: str) -> bytes:
    """Return a booster file that says what its numbers mean.

    Raises:
        TrainingError: LightGBM wrote what it cannot read: it takes some parameters without a look at them.
    """
    data = model + MARK + seal_of(encoder, definition, snapshot).encode() + b"\n"
    try:
        verify(data, digest_of(data))
    except ModelError as error:
        raise TrainingError(
            "what was learned cannot be read again",
            where="train.params in model.yaml",
            expected=error.expected,
            found=error.found,
            next_step="correct train.params: one that is a text, or has texts in it, is the usual reason",
        ) from error
    return data


def verify(data: bytes, expected_digest: str) -> None:
    """Refuse bytes that are not what they should be, or that a child process does not survive.

    Raises:
        ModelError: Other bytes than expected, or bytes that cannot be parsed.
    """
    check_digest(data, expected_digest)
    library = Path(lgb.__file__).parent / "lib" / "lib_lightgbm.so"
    survive(lightgbm_first_parse.__file__, [str(library)], data, expected_digest, "LightGBM")


def load(data: bytes, version: ModelVersion) -> lgb.Booster:
    """Return a version's booster from bytes that are what they should be and that a child process survived.

    Raises:
        ModelError: Other bytes than expected, bytes that cannot be parsed, or another manifest than the file's.
    """
    verify(data, version.digest)
    _, found, said = data.rpartition(MARK)
    check_seal(said.decode().strip() if found else None, version)
    return lgb.Booster(model_str=data.decode())


def predict(booster: lgb.Booster, version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
    """Return one prediction per row, or one probability per row and class; see `Estimator.predict`."""
    found = [np.asarray(booster.predict(matrix), dtype=np.float64) for matrix in _batches(version, rows)]
    return np.concatenate([np.empty((0, *version.row_shape)), *found])


def explain(booster: lgb.Booster, version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
    """Return what each feature adds to a row's margin, the bias last; see `Estimator.explain`.

    Exact TreeSHAP: a row's numbers sum to its margin, a logit for a binary task. For a multiclass one the margins of a
    row's classes are the logarithms of their probabilities, but for one number that they have in common.
    """
    shape = (*version.row_shape, len(version.features) + 1)
    found = [np.asarray(booster.predict(matrix, pred_contrib=True)) for matrix in _batches(version, rows)]
    return np.concatenate([np.empty((0, *shape)), *(each.reshape(-1, *shape) for each in found)])


def splits(booster: lgb.Booster, version: ModelVersion) -> dict[str, list[tuple[float, float]]]:
    """Return where the trees split each quantity, and what each split has gained; see `Estimator.splits`."""
    found: dict[str, list[tuple[float, float]]] = {}
    nodes = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    while nodes:
        node = nodes.pop()
        if "split_feature" not in node:
            continue
        nodes += [node["left_child"], node["right_child"]]
        if node["decision_type"] == "<=":  # the threshold itself goes left
            beyond = float(np.nextafter(node["threshold"], np.inf))
            found.setdefault(version.features[node["split_feature"]], []).append((beyond, float(node["split_gain"])))
    return found


def _batches(version: ModelVersion, rows: pa.Table) -> Iterator[Matrix]:
    encoder = Encoder(version.features, version.categories)
    for start in range(0, rows.num_rows, BATCH_ROWS):
        yield encoder.matrix(rows.slice(start, BATCH_ROWS))
