"""A booster over rows in memory, fitted by XGBoost's own loop."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xgboost as xgb

from incumbent.estimators.encoding import Encoder
from incumbent.estimators.xgboost_rounds import parameters


def booster_of(
    encoder: Encoder, rows: pa.Table, labels: npt.NDArray[np.float64], rounds: int, **params: Any
) -> xgb.Booster:
    data = xgb.QuantileDMatrix(
        encoder.matrix(rows), label=labels, feature_names=list(encoder.features), feature_types=encoder.types,
        enable_categorical=True,
    )  # fmt: skip
    return xgb.train(parameters("binary", params, "cpu", 1), data, rounds)
