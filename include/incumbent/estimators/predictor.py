"""Predictions of a stored version, loaded once per process, and what they look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from incumbent.estimators.estimator import estimator
from incumbent.records import ModelVersion

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from incumbent.store import ModelStore


def predictor(store: ModelStore) -> Callable[[ModelVersion, pa.Table], npt.NDArray[np.float64]]:
    """Return a function that predicts with any version of a store, verified before it is parsed."""
    loaded: dict[str, Any] = {}

    def predict(version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
        kind = estimator(version.estimator)
        if version.digest not in loaded:
            loaded[version.digest] = kind.load(store.objects.get(version.digest), version)
        return kind.predict(loaded[version.digest], version, rows)

    return predict


def explainer(store: ModelStore) -> Callable[[ModelVersion, pa.Table], npt.NDArray[np.float64]]:
    """Return a function that says what features add, with any version of a store; see `Estimator.explain`."""

    def explain(version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
        kind = estimator(version.estimator)
        return kind.explain(kind.load(store.objects.get(version.digest), version), version, rows)

    return explain


def splits(store: ModelStore, version: ModelVersion) -> dict[str, list[tuple[float, float]]]:
    """Return where a stored version tells the values of each feature apart; see `Estimator.splits`."""
    kind = estimator(version.estimator)
    return kind.splits(kind.load(store.objects.get(version.digest), version), version)
