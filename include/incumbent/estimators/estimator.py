"""What an estimator has to be able to do: one module of a few functions for each."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol, cast

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

    def rounds(self, given: Given, train: Shard, validation: Shard | None, start: bytes | None) -> Rounds:
        """Begin a fit, or go on from a model that `Rounds.save` gave."""

    def seal(self, model: bytes, encoder: Encoder, definition: str, snapshot: str) -> bytes:
        """Return the model file that says itself what its numbers mean."""

    def importance(self, model: bytes, features: tuple[str, ...]) -> dict[str, float]:
        """Return each feature's share of the total gain; 0 for one that is never split on."""

    def load(self, data: bytes, version: ModelVersion) -> Any:
        """Return a model, verified before a byte is parsed."""

    def predict(self, loaded: Any, version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
        """Return one prediction per row, shape (n_rows,)."""


def estimator(name: str) -> Estimator:
    """Return an estimator by its name; what it needs is imported now and not before."""
    return cast(Estimator, importlib.import_module(f"incumbent.estimators.{name}"))
