"""How much each column counts: as a person says, as a small model uses them, or all alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from incumbent.errors import BatchError, ConfigError

if TYPE_CHECKING:
    import numpy as np

MOST_ROWS, ROUNDS = 10_000, 20
PARAMS = {"max_depth": 4, "eta": 0.3, "tree_method": "hist", "verbosity": 0, "nthread": 1}


def weights_of(
    importance: Mapping[str, float] | str | Path | None, target: str | None, rows: pa.Table, names: Sequence[str]
) -> dict[str, float]:
    """Return each column's share; the shares sum to 1.

    Args:
        importance: Column to its share, or a JSON file of that.
        target: Column that a small model is fitted to.
        rows: The reference.
        names: Columns that are judged.

    Raises:
        ConfigError: Both are given, or the importance is none.
        BatchError: No model can be fitted to the target.
    """
    if importance is not None and target is not None:
        raise _unusable("importance and a target", "one of them")
    if target is not None:
        given: Mapping[str, float] = _gain(rows, target, names)
    elif importance is not None:
        given = _read(importance)
    else:
        given = dict.fromkeys(names, 1.0)
    known = {name: float(given.get(name, 0.0)) for name in names}
    total = sum(known.values()) or 1.0
    return {name: share / total for name, share in known.items()}


def _read(importance: Mapping[str, float] | str | Path) -> dict[str, float]:
    plain: Any = importance
    if isinstance(importance, str | Path):
        try:
            plain = json.loads(Path(importance).read_text())
        except (OSError, ValueError) as error:
            raise _unusable(str(error), "a JSON file") from error
    is_plain = isinstance(plain, Mapping) and all(isinstance(share, int | float) for share in plain.values())
    if not is_plain or any(not 0 <= share < float("inf") for share in plain.values()):
        raise _unusable(str(plain)[:200], 'numbers from 0 on, as in {"distance": 0.4, "carrier": 0.6}')
    return dict(plain)


def _unusable(found: str, expected: str) -> ConfigError:
    return ConfigError(
        "the importance cannot be used",
        where="--importance",
        expected=expected,
        found=found,
        next_step="correct it, or leave it out: then all columns count alike",
    )


def _gain(rows: pa.Table, target: str, names: Sequence[str]) -> dict[str, float]:
    """Return each column's share of the gain of a small model, fitted to evenly spaced rows."""
    import numpy as np
    import xgboost as xgb

    from incumbent.estimators.encoding import Encoder
    from incumbent.estimators.xgboost_rounds import gain_shares

    rows = rows.filter(pc.is_valid(rows[target]))
    rows = rows.take(np.linspace(0, rows.num_rows - 1, min(MOST_ROWS, rows.num_rows)).astype(int))
    labels, params = _labels(rows[target], target)
    encoder = Encoder.learn(rows, [name for name in names if name in rows.column_names])
    matrix = encoder.matrix(rows)
    data = xgb.QuantileDMatrix(
        np.where(np.isfinite(matrix), matrix, np.nan), labels, feature_names=list(encoder.features),
        feature_types=encoder.types, enable_categorical=True,
    )  # fmt: skip
    return gain_shares(xgb.train({**PARAMS, **params}, data, ROUNDS), encoder.features)


def _labels(column: pa.ChunkedArray, target: str) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
    """Return labels as numbers, and what a model of them is."""
    values = pc.unique(column)
    if len(values) < 2:
        raise BatchError(
            "no model can be fitted to the target",
            where=f"the reference: {target}",
            expected="values that differ",
            found=f"{len(values)} different values",
            next_step="name another column, or give the importance yourself",
        )
    if pa.types.is_string(values.type):
        codes = pc.index_in(column, value_set=values).to_numpy()
        params = {"objective": "multi:softprob", "num_class": len(values)}
        return codes, params if len(values) > 2 else {"objective": "binary:logistic"}
    numbers = column.cast(pa.float64(), safe=False).to_numpy()
    is_binary = len(values) == 2 and set(values.cast(pa.float64()).to_pylist()) == {0.0, 1.0}
    return numbers, {"objective": "binary:logistic" if is_binary else "reg:squarederror"}
