"""A fit that is one run of the user's own script, which leaves an ONNX model behind."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from incumbent.errors import ModelError, TrainingError
from incumbent.estimators import onnx_session
from incumbent.estimators.encoding import Encoder, Matrix
from incumbent.estimators.model_file import SEAL, survive
from incumbent.estimators.rounds import Given
from incumbent.estimators.script import run_script
from incumbent.estimators.shards import Batch, Shard
from incumbent.records import digest_of

SCRIPT, ROWS, TOLD, MODEL = "train.py", "rows.parquet", "told.json", "model.onnx"
BESIDE = ("label", "weight")  # columns of the rows beside the features
LARGEST = 2**31 - 1  # bytes that protobuf can read
SAMPLE_ROWS = 2000
TINY = 1e-15
METRICS = {"binary": "logloss", "multiclass": "mlogloss", "regression": "rmse"}


class OnnxRounds:
    """One round, which is a run of the script; see `incumbent.estimators.rounds.Rounds`."""

    segment = 1
    exact = True  # there is a checkpoint only of what the script has finished
    larger_is_better = False

    def __init__(self, given: Given, train: Shard, start: bytes | None) -> None:
        self._given, self._rows, self._model = given, train, start
        self._session: Any = None if start is None else onnx_session.opened(start)
        self.done = 0 if start is None else 1
        self.metric = METRICS[given.task]

    def add(self) -> bool:
        """Run the script, and take its model if it can be used.

        Raises:
            TrainingError: The script fails, takes too long, or leaves no model that can be scored with.
        """
        with tempfile.TemporaryDirectory(prefix="incumbent-script-") as private:
            folder = Path(private)
            self._prepare(folder)
            run_script(folder / SCRIPT, self._given.script_seconds, self._given.threads)
            self._model = self._usable(folder)
        self._session = onnx_session.opened(self._model)
        self.done = 1
        return True

    def score(self, rows: str) -> float:
        """Return the weighted loss on the training rows."""
        total = weighed = 0.0
        for batch in self._rows:
            weights = _weights(batch)
            total += float(weights @ self._losses(batch))
            weighed += float(weights.sum())
        mean = total / weighed
        return float(np.sqrt(mean)) if self._given.task == "regression" else mean

    def save(self) -> bytes:
        """Return the model."""
        return self._model or b""

    def finish(self, rounds: int) -> bytes:
        """Return the model."""
        return self._model or b""

    def importance(self, rounds: int) -> dict[str, float]:
        """Return each feature's share of how much predictions of some rows change when it is shuffled."""
        matrix = self._sample()
        before, random = self._predictions(matrix), np.random.default_rng(self._given.seed)
        changes = []
        for position in range(matrix.shape[1]):
            other = matrix.copy()
            other[:, position] = random.permutation(other[:, position])
            changes.append(float(np.abs(self._predictions(other) - before).mean()))
        total = sum(changes) or 1.0
        return {name: each / total for name, each in zip(self._rows.encoder.features, changes, strict=True)}

    def _prepare(self, folder: Path) -> None:
        """Write the script, the rows and what there is to know of them."""
        encoder, given = self._rows.encoder, self._given
        if taken := [name for name in encoder.features if name in BESIDE]:
            raise TrainingError(
                "a feature has the name of a column that the script gets beside the features",
                where=f"feature {taken[0]}",
                expected=f"any name but {' and '.join(BESIDE)}",
                found=taken[0],
                next_step="give the feature another name in features.sql",
            )
        (folder / SCRIPT).write_text(given.script, encoding="utf-8")
        told = {"task": given.task, "params": dict(given.params), "seed": given.seed, **_encoding(encoder)}
        (folder / TOLD).write_text(json.dumps(told), encoding="utf-8")
        names = [*encoder.features, *BESIDE]
        schema = pa.schema([(name, pa.float64() if name == "label" else pa.float32()) for name in names])
        with pq.ParquetWriter(folder / ROWS, schema) as writer:
            for batch in self._rows:
                columns = [*batch.matrix.T, batch.labels, _weights(batch)]
                writer.write_table(pa.table([pa.array(np.ascontiguousarray(each)) for each in columns], schema=schema))

    def _usable(self, folder: Path) -> bytes:
        """Return the model, if a child process finds that it can be scored with.

        Raises:
            TrainingError: It cannot, or is not there.
        """
        path = folder / MODEL
        if not path.is_file() or not 0 < path.stat().st_size <= LARGEST:
            raise _unusable("none" if not path.is_file() else f"one of {path.stat().st_size:,} bytes")
        data, sample, columns = path.read_bytes(), folder / "sample.npy", len(self._rows.encoder.features)
        np.save(sample, self._sample())
        asked = [self._given.task, str(len(self._rows.encoder.classes)), str(sample)]
        try:
            survive(onnx_session.__file__, asked, data, digest_of(data), "onnxruntime")
        except ModelError as error:
            raise _unusable(str(error.found)) from error
        session = onnx_session.opened(data)
        if SEAL in session.get_modelmeta().custom_metadata_map:
            raise _unusable(f"one whose metadata has {SEAL!r} already")
        if (found := onnx_session.columns_of(session)) not in (0, columns):
            raise _unusable(f"one that takes {found} features, not {columns}")
        return data

    def _sample(self) -> Matrix:
        """Return some rows out of all batches, shape (at most SAMPLE_ROWS, n_features)."""
        step = -(-self._rows.rows // SAMPLE_ROWS)
        return np.concatenate([batch.matrix[::step] for batch in self._rows])[:SAMPLE_ROWS]

    def _losses(self, batch: Batch) -> Any:
        found = self._predictions(batch.matrix)
        if self._given.task == "regression":
            return (found - batch.labels) ** 2
        if self._given.task == "multiclass":
            of_truth = found[np.arange(len(found)), batch.labels.astype(np.int64)]
        else:
            of_truth = np.where(batch.labels == 1, found, 1 - found)
        return -np.log(np.clip(of_truth, TINY, 1))

    def _predictions(self, matrix: Matrix) -> npt.NDArray[np.float64]:
        return onnx_session.predictions(self._session, matrix, len(self._rows.encoder.classes))


def _weights(batch: Batch) -> Any:
    return np.ones(len(batch.labels), np.float32) if batch.weights is None else batch.weights


def _encoding(encoder: Encoder) -> dict[str, Any]:
    categories = {name: list(levels) for name, levels in encoder.categories.items()}
    classes = {"classes": list(encoder.classes)} if encoder.classes else {}
    return {"features": list(encoder.features), "categories": categories, **classes}


def _unusable(found: str) -> TrainingError:
    return TrainingError(
        "the training script left no model that can be scored with",
        where="train.script in model.yaml",
        expected=f"{MODEL} in its working folder: one float matrix in, one finite prediction a row out (of several "
        "classes the probability of each)",
        found=found,
        next_step="correct the script; docs/estimators.md says what it gets and what it has to leave",
    )
