"""The folder's own choice of validation rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from incumbent.config import LOCAL_DATE, Model
from incumbent.errors import TrainingError
from incumbent.functions import FILE


def is_own_split(model: Model) -> bool:
    """Return whether `split` of model.py chooses the validation rows: where nothing stops early there are none."""
    return model.train.early_stopping is not None and "split" in model.functions


def chosen_for_validation(
    model: Model,
    file: Path,
    positions: npt.NDArray[np.int32],
    labels: npt.NDArray[np.float64],
    days: npt.NDArray[np.int32],
) -> npt.NDArray[np.bool_]:
    """Return which rows of a file `split` chooses, shape (n_rows,).

    Args:
        model: Its configuration.
        file: Of features, with the keys and the time.
        positions: Of the rows in the file, shape (n_rows,).
        labels: Truth, shape (n_rows,).
        days: Local days since 1970, shape (n_rows,).

    Raises:
        TrainingError: The function fails, or gives something else than one truth value for each row.
    """
    columns = list(dict.fromkeys([*model.keys, model.time]))
    rows = pq.ParquetFile(file, page_checksum_verification=True).read(columns=columns).take(pa.array(positions))
    for name, values in ((LOCAL_DATE, pa.array(days, pa.int32()).cast(pa.date32())), ("label", pa.array(labels))):
        rows = rows.append_column(name, values)
    found = _truth_values(model.functions.call("split", rows), len(positions))
    # Each attempt of a training chooses anew: rows that are validation rows for one only would be learned from.
    again = _truth_values(model.functions.call("split", rows), len(positions))
    if (other := int((found != again).sum())) > 0:
        raise _wrong("the same rows each time it is called", f"other values for {other} of {len(found)} rows", "a seed")
    return found


def _truth_values(found: Any, rows: int) -> npt.NDArray[np.bool_]:
    try:
        values = np.asarray(found)  # of numpy, Arrow or pandas; with a null it is none of truth values
    except ValueError:
        values = np.empty(0, dtype=object)
    if values.dtype != np.bool_ or values.shape != (rows,):
        said = f"{values.dtype} of shape {values.shape}"
        raise _wrong(f"{rows} values True or False", said, "one truth value a row, without nulls")
    return values


def _wrong(expected: str, found: str, remedy: str) -> TrainingError:
    return TrainingError(
        "split of model.py does not say which rows are validation rows",
        where=f"{FILE}: split",
        expected=expected,
        found=found,
        next_step=f"give it {remedy}",
    )
