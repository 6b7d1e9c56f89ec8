"""The unit of work that a fit is: named by its inputs, the same in any process."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np

from incumbent.config import Model
from incumbent.estimators.encoding import Encoder
from incumbent.estimators.xgboost import parameters
from incumbent.features.build import feature_columns
from incumbent.features.rows import labelled_rows
from incumbent.records import Snapshot, digest_of
from incumbent.store import ModelStore
from incumbent.train.checkpoints import Checkpoints, Progress
from incumbent.train.fit import Fitted, fit
from incumbent.train.guards import check_labels


@dataclass(frozen=True)
class Work:
    """What is to be fitted.

    Attributes:
        model: The model's configuration.
        snapshot: The training set.
        device: `cpu` or `cuda`.
    """

    model: Model
    snapshot: Snapshot
    device: str

    @property
    def id(self) -> str:
        """Digest of everything that decides the outcome; a cleared task finds its own fit again."""
        train = self.model.train
        return digest_of(
            [
                self.snapshot.id,
                self.model.task,
                train.estimator,
                train.params,
                train.rounds,
                train.seed,
                self.device,
            ]
        )

    def checkpoints(self, store: ModelStore) -> Checkpoints:
        """Return the fit's checkpoints."""
        return Checkpoints(store.work / "checkpoints" / self.id[:32])

    def run(self, store: ModelStore, report: Callable[[Progress], None]) -> tuple[Fitted, Encoder, int]:
        """Read the rows, verified by digest, and fit; return the fit, its encoding and the row count."""
        until = date.fromisoformat(self.snapshot.train_until)
        rows = labelled_rows(store, self.model, self.snapshot, None, until)
        labels = np.asarray(rows["label"], dtype=np.float64)
        check_labels(self.model, self.snapshot.partition, labels)
        encoder = Encoder.learn(rows, feature_columns(self.model, rows))
        train = self.model.train
        params = parameters(self.model.task, train.params, self.device, os.cpu_count() or 1)
        matrix = encoder.matrix(rows)
        fitted = fit(
            encoder, matrix, labels, params, train.rounds, train.checkpoint_every, train.seed,
            self.checkpoints(store), report,
        )  # fmt: skip
        return fitted, encoder, rows.num_rows
