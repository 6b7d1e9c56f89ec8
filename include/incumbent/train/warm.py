"""A fit that begins with the champion's trees: what of it is the champion's, and stays so.

With more rounds it learns on; with leaves alone it is the champion with another intercept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from incumbent.config import Model
from incumbent.estimators.encoding import Encoder
from incumbent.records import ModelVersion
from incumbent.store import ModelStore
from incumbent.train.checkpoints import Checkpoint, State

NOT_CHOSEN = ("seed", "device", "searched")  # of a version's parameters
# No split is worth it: a round is one leaf (of each class), and with these its value is Newton's step to the intercept.
LEAF: Mapping[str, float] = {"min_split_loss": 1e30, "learning_rate": 1.0, "reg_lambda": 0.0}
LONGEST_STEP = 1.0  # in logits: longer ones overshoot where a rare class has become common, and never come back
STEPS = 16  # of several classes XGBoost takes half steps


@dataclass(frozen=True)
class Base:
    """The version that a warm fit goes on from.

    Attributes:
        version: Its manifest.
        model: Its file, verified.
    """

    version: ModelVersion
    model: bytes

    @classmethod
    def of(cls, store: ModelStore, digest: str) -> Base:
        """Return a version's file, once it is what it should be and a child process has survived it."""
        from incumbent.estimators import estimator

        version, model = store.records.get(ModelVersion, digest), store.objects.get(digest)
        estimator(version.estimator).verify(model, digest)
        return cls(version, model)

    @property
    def encoder(self) -> Encoder:
        """Its encoding: the codes of its levels stand in its trees, and a level that it does not know is none."""
        return Encoder(self.version.features, self.version.categories, tuple(self.version.classes))

    def thresholds(self) -> Mapping[str, npt.NDArray[np.float32]]:
        """Return where its trees split each feature: a row has to be on the same side of all of them once binned."""
        from incumbent.estimators.xgboost import thresholds  # the only estimator that can go on from a version

        return thresholds(self.model, self.version.features)

    def beginning(self, layout: str) -> Checkpoint:
        """Return what a fit goes on from that has no checkpoint yet."""
        return Checkpoint("", State(rounds=self.version.rounds, layout=layout), self.model)


def warm_model(model: Model, champion: ModelVersion) -> Model:
    """Return the configuration of a warm fit: the champion's parameters and rounds, and so many rounds more.

    All rows are learned from. The champion may have learned from what would be validation rows: their scores
    would say that nothing is left to be learned.
    """
    params = {name: value for name, value in champion.params.items() if name not in NOT_CHOSEN}
    rounds = champion.rounds + (model.train.warm_rounds or 0)
    update = {"params": params, "rounds": rounds, "search": None, "early_stopping": None}
    return model.model_copy(update={"train": model.train.model_copy(update=update)})


def recalibrating_model(model: Model, champion: ModelVersion) -> Model:
    """Return the configuration of a fit that changes the champion's intercept alone (of each class).

    Where only the base rate has moved, its trees rank as well as ever: what is wrong is found from a few rows, and is
    put right in seconds. By Newton's method: each step is a round whose tree is a single leaf. What comes out is the
    likeliest intercept, or of an objective of the folder's own the best by that.
    """
    rounds = champion.rounds + STEPS
    step = {} if model.task == "regression" else {"max_delta_step": LONGEST_STEP}
    update = {"params": {**LEAF, **step}, "rounds": rounds, "search": None, "early_stopping": None, "balance": False}
    return model.model_copy(update={"train": model.train.model_copy(update=update)})
