"""Predictions of a stored version, loaded once per process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from incumbent.records import ModelVersion

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from incumbent.store import ModelStore


def predictor(store: ModelStore) -> Callable[[ModelVersion, pa.Table], npt.NDArray[np.float64]]:
    """Return a function that predicts with any version of a store, verified before it is parsed."""
    from incumbent.estimators import xgboost

    loaded: dict[str, Any] = {}

    def predict(version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
        if version.digest not in loaded:
            booster = xgboost.load(store.objects.get(version.digest), version.digest)
            xgboost.check_seal(booster, version)
            loaded[version.digest] = booster
        return xgboost.predict(loaded[version.digest], version, rows)

    return predict
