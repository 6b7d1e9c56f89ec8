"""Predictions of several classes: in the order of other classes, and by the names under which they are profiled.

Here and not with a stage: versions of one model may have been trained for other classes, and the gates, MONITOR and
FEATURES, which keeps the names free, have to agree on what that means.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SCORE = "score"


def aligned(
    probabilities: npt.NDArray[np.float64], known: Sequence[str], wanted: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Return probabilities in the order of other classes.

    Who does not know a class says that it cannot be. What a row gives to a class that is not wanted any more is shared
    out among the others: they are what it says of a row that is one of these.

    Args:
        probabilities: In the order of `known`, shape (n_rows, len(known)).
        known: Classes of the version that predicted.
        wanted: Classes that the rows are judged by.

    Returns:
        Shape (n_rows, len(wanted)); each row sums to 1.

    >>> aligned(np.array([[0.6, 0.3, 0.1]]), ("a", "b", "gone"), ("b", "new", "a")).round(3)
    array([[0.333, 0.   , 0.667]])
    """
    if tuple(known) == tuple(wanted):
        return probabilities
    out = np.zeros((len(probabilities), len(wanted)))
    for at, name in enumerate(wanted):
        if name in known:
            out[:, at] = probabilities[:, list(known).index(name)]
    total = out.sum(axis=1, keepdims=True)
    shares: npt.NDArray[np.float64] = np.divide(out, total, out=np.full_like(out, 1 / len(wanted)), where=total > 0)
    return shares


def score_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the names under which a prediction is profiled: one, or of several classes one for each.

    >>> score_names(()), score_names(("a", "b"))
    (('score',), ('score of class a', 'score of class b'))
    """
    return tuple(f"{SCORE} of class {name}" for name in classes) or (SCORE,)
