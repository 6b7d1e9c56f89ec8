"""What a training needs to succeed, checked in seconds before it starts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from incumbent.config import Model
from incumbent.errors import TrainingError
from incumbent.sensitive import MASK


def check_labels(model: Model, partition: str, labels: npt.NDArray[np.float64]) -> None:
    """Refuse labels that nothing can be learned from.

    Raises:
        TrainingError: No rows, a value that is not finite, one class, other values than 0 and 1,
            or a constant target.
    """
    where = f"model {model.name}, training rows up to {partition}"
    if not len(labels):
        raise TrainingError(
            "there are no training rows",
            where=where,
            expected="labelled rows older than the gate rows and the embargo",
            found="0 rows",
            next_step="wait for more outcomes, or lower evaluate.holdout_days",
        )
    if broken := int((~np.isfinite(labels)).sum()):
        raise TrainingError(
            "labels are not finite",
            where=where,
            expected="finite numbers",
            found=f"{broken} of {len(labels)} are NaN or infinite",
            next_step="correct label.sql, or leave these rows out with label.where in model.yaml",
        )
    values = np.unique(labels)
    hide = bool(model.sensitive.masked.get(model.outcome_source))  # the label may be made of what nobody is shown
    if model.task == "binary" and not np.isin(values, (0.0, 1.0)).all():
        raise TrainingError(
            "labels of a binary model are not 0 and 1",
            where=where,
            expected="0 or 1",
            found=f"{len(values)} other values" if hide else ", ".join(f"{value:g}" for value in values[:5]),
            next_step="correct label.sql in model.yaml",
        )
    if len(values) == 1:
        raise TrainingError(
            "all labels are the same",
            where=where,
            expected="two classes" if model.task == "binary" else "a target that varies",
            found=f"only {MASK if hide else format(values[0], 'g')} in {len(labels)} rows",
            next_step="wait for a partition that has the other class, or correct label.sql",
        )
