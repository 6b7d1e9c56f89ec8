"""ONNX: whatever framework exports it; fitted by the user's own script, scored by onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from incumbent.errors import ModelError
from incumbent.estimators import onnx_session
from incumbent.estimators.encoding import Encoder, Matrix
from incumbent.estimators.model_file import SEAL, check_digest, check_seal, seal_of, survive
from incumbent.estimators.onnx_rounds import OnnxRounds
from incumbent.estimators.rounds import Given, Rounds
from incumbent.estimators.shards import Shard
from incumbent.records import ModelVersion

BATCH_ROWS = 65_536
METADATA = 14  # number of `metadata_props` in ONNX's ModelProto


def fit(given: Given, train: Shard, validation: Shard | None, start: bytes | None) -> Rounds:
    """Begin a fit, which is one run of a script, or take up the model that it has made."""
    return OnnxRounds(given, train, start)


def save(model: bytes, encoder: Encoder, definition: str, snapshot: str) -> bytes:
    """Return a model file that says what its numbers mean, in its metadata.

    Two messages of protobuf one after the other are one message, which has the fields of both. So no library is
    needed that knows what else is in an ONNX file.
    """
    said = _field(1, SEAL.encode()) + _field(2, seal_of(encoder, definition, snapshot).encode())
    return model + _field(METADATA, said)


def verify(data: bytes, expected_digest: str) -> None:
    """Refuse bytes that are not what they should be, or that a child process does not survive.

    Raises:
        ModelError: Other bytes than expected, or bytes that cannot be parsed.
    """
    check_digest(data, expected_digest)
    survive(onnx_session.__file__, [], data, expected_digest, "onnxruntime")


def load(data: bytes, version: ModelVersion) -> Any:
    """Return a version's session from bytes that are what they should be and that a child process survived.

    Raises:
        ModelError: Other bytes than expected, bytes that cannot be parsed, or another manifest than the file's.
    """
    verify(data, version.digest)
    session = onnx_session.opened(data)
    check_seal(session.get_modelmeta().custom_metadata_map.get(SEAL), version)
    return session


def predict(session: Any, version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
    """Return one prediction per row, or one probability per row and class; see `Estimator.predict`.

    Raises:
        ModelError: It cannot take the rows, or gives no probabilities of the classes.
    """
    classes = len(version.classes)
    try:
        found = [onnx_session.predictions(session, matrix, classes) for matrix in _batches(version, rows)]
    except ValueError as error:
        raise ModelError(
            "an ONNX model cannot predict",
            where=f"version {version.digest[:16]}",
            expected=f"a model that takes {len(version.features)} features",
            found=error,
            next_step="roll back to an earlier generation",
        ) from error
    return np.concatenate([np.empty((0, *version.row_shape)), *found])


def explain(session: Any, version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
    """Refuse: what a feature adds to a prediction cannot be had exactly from a model of which nothing is known.

    Raises:
        ModelError: Always.
    """
    raise ModelError(
        "an ONNX model is not explained",
        where=f"version {version.digest[:16]}",
        expected="an estimator with exact explanations: xgboost or lightgbm",
        found="onnx",
        next_step="explain the model with its own framework, or set train.estimator to another one",
    )


def splits(session: Any, version: ModelVersion) -> dict[str, list[tuple[float, float]]]:
    """Return nothing: of what is inside nothing is known."""
    return {}


def _batches(version: ModelVersion, rows: pa.Table) -> Iterator[Matrix]:
    encoder = Encoder(version.features, version.categories)
    for start in range(0, rows.num_rows, BATCH_ROWS):
        yield encoder.matrix(rows.slice(start, BATCH_ROWS))


def _field(number: int, value: bytes) -> bytes:
    """Return a field of bytes as protobuf writes it."""
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
