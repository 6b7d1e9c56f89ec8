"""What an estimator has to be able to do: one module of seven functions for each."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol, cast

from incumbent.errors import ConfigError
from incumbent.estimators.abilities import ABILITIES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from incumbent.estimators.encoding import Encoder
    from incumbent.estimators.rounds import Given, Rounds
    from incumbent.estimators.shards import Shard
    from incumbent.records import ModelVersion


class Estimator(Protocol):
    """The functions of a module in `incumbent.estimators`."""

    def fit(self, given: Given, train: Shard, validation: Shard | None, start: bytes | None) -> Rounds:
        """Begin a fit, or go on from a model that `Rounds.save` gave."""

    def predict(self, loaded: Any, version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
        """Return one prediction per row.

        Returns:
            Shape (n_rows,), a probability for a binary task; for a multiclass one shape (n_rows, n_classes), the
            probabilities of the version's classes, which sum to 1 in each row.
        """

    def save(self, model: bytes, encoder: Encoder, definition: str, snapshot: str) -> bytes:
        """Return the model file that says itself what its numbers mean."""

    def verify(self, data: bytes, expected_digest: str) -> None:
        """Refuse bytes that are not what they should be, or that a child process does not survive."""

    def load(self, data: bytes, version: ModelVersion) -> Any:
        """Return a model to predict with, verified before this process parses a byte."""

    def explain(self, loaded: Any, version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
        """Return what each feature adds to a row's margin, the bias last.

        Returns:
            Shape (n_rows, n_features + 1); for a multiclass task (n_rows, n_classes, n_features + 1): each class has a
            margin of its own.
        """

    def splits(self, loaded: Any, version: ModelVersion) -> dict[str, list[tuple[float, float]]]:
        """Return where a model tells the values of each quantity apart; nothing of one that has no trees.

        Returns:
            Feature to its splits: the smallest number of the upper side, and what the split has gained.
        """


def estimator(name: str) -> Estimator:
    """Return an estimator by its name; what it needs is imported now and not before.

    Raises:
        ConfigError: There is none of that name, or its library is not installed.
    """
    if name not in ABILITIES:
        raise ConfigError(
            "there is no such estimator",
            where=f"incumbent.estimators.{name}",
            expected=f"one of {', '.join(ABILITIES)}",
            found=name,
            next_step="install the release that wrote the version",
        )
    try:
        return cast(Estimator, importlib.import_module(f"incumbent.estimators.{name}"))
    except ModuleNotFoundError as error:
        ability = ABILITIES[name]
        package = f"incumbent[{ability.extra}]" if ability.extra else "incumbent"
        raise ConfigError(
            "the library of an estimator is not installed",
            where=f"estimator {name}",
            expected=ability.library,
            found=error,
            next_step=f"install {package} where trainings and scorings run",
        ) from error
