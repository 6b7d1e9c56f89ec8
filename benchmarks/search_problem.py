"""Draws of public tables to search on: each trial's rounds are learned, and timed, once for whoever asks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xgboost as xgb

from benchmarks.leak_tables import Table
from incumbent.estimators import estimator
from incumbent.estimators.encoding import Encoder
from incumbent.estimators.rounds import Given, Rounds
from incumbent.estimators.shards import Chosen, Shard
from incumbent.records import canonical_json

KIND = "xgboost"


@dataclass
class Curve:
    """A trial that learns as many rounds as somebody asks for, once.

    Attributes:
        rounds: The fit.
        began: Seconds before its first round.
        losses: After each round so far.
        seconds: Of each round.
    """

    rounds: Rounds
    began: float
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def upto(self, count: int) -> list[float]:
        """Return the losses of the first rounds."""
        while len(self.losses) < count:
            start = time.perf_counter()
            self.rounds.add()
            self.losses.append(self.rounds.score("validation"))
            self.seconds.append(time.perf_counter() - start)
        return self.losses[:count]

    def cost(self, count: int) -> float:
        """Return the seconds of so many rounds."""
        return self.began + sum(self.seconds[:count])


class Told:
    """A curve as `learn` takes it, from its beginning."""

    larger_is_better = False
    exact = True
    segment = 1

    def __init__(self, curve: Curve) -> None:
        self._curve, self.done, self.metric = curve, 0, curve.rounds.metric

    def add(self) -> bool:
        """Take one more round."""
        self.done += 1
        return True

    def score(self, rows: str) -> float:
        """Return the score of the validation rows."""
        return self._curve.upto(self.done)[-1]

    def save(self) -> bytes:
        """Return the model so far."""
        return self._curve.rounds.save()

    def finish(self, rounds: int) -> bytes:
        """Return the model of its first rounds."""
        return self._curve.rounds.finish(rounds)

    def importance(self, rounds: int) -> Mapping[str, float]:
        """Return each feature's share of what the first rounds have learned."""
        return self._curve.rounds.importance(rounds)


class Problem:
    """A draw of a table: three quarters to learn from, one to judge on."""

    def __init__(self, table: Table, seed: int, folder: Path) -> None:
        rows = pa.Table.from_pandas(table.draw(seed), preserve_index=False)
        labels = np.asarray(rows["label"], dtype=np.float64)
        features = [name for name in rows.column_names if name != "label"]
        cut = rows.num_rows * 3 // 4
        file = folder / f"{table.name}-{seed}.parquet"
        pq.write_table(rows, file)
        self._encoder = Encoder.learn(rows.slice(0, cut), features)
        self._files, self._task, self._curves = [file], table.task, dict[bytes, Curve]()
        self._train, self._held = (
            Chosen(0, np.arange(*ends, dtype=np.int32), labels[slice(*ends)], None)
            for ends in ((0, cut), (cut, len(labels)))
        )

    def curve(self, params: Mapping[str, Any]) -> Curve:
        """Return the trial with some parameters."""
        key = canonical_json(params)
        if key not in self._curves:
            start = time.perf_counter()
            given = Given(self._task, params, 7, "cpu", 1)
            shards = [Shard(self._files, [each], self._encoder) for each in (self._train, self._held)]
            fit = estimator(KIND).fit(given, shards[0], shards[1], None)
            self._curves[key] = Curve(fit, time.perf_counter() - start)
        return self._curves[key]

    def predict_seconds(self, model: bytes, repeats: int = 5) -> float:
        """Return the least seconds of several predictions of the rows, a number of times over."""
        matrix = np.concatenate([batch.matrix for batch in Shard(self._files, [self._train], self._encoder)] * 10)
        names, types = list(self._encoder.features), self._encoder.types
        booster = xgb.Booster({"nthread": 1}, model_file=bytearray(model))
        seconds = []
        for _ in range(repeats):  # each with rows of its own: what was predicted of a matrix is remembered
            rows = xgb.DMatrix(matrix, feature_names=names, feature_types=types, enable_categorical=True)
            start = time.perf_counter()
            booster.predict(rows)
            seconds.append(time.perf_counter() - start)
        return min(seconds)
