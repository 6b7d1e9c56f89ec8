"""The difference of two models in each group of rows: a gain on the whole may be harm to a part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from incumbent.evaluate.contest import LOSS_ALPHA, Contest
from incumbent.evaluate.gates.slices import FEWEST_CLUSTERS
from incumbent.stats import Difference

MOST_GROUPS = 20  # of a column, by how many rows they have; the others are one
LEAST = 30  # rows, and of both classes, below which a group says nothing; nor does it of fewer clusters than a gate
OTHERS, MISSING = "(others)", "(missing)"


def slice_results(
    contest: Contest, slices: Mapping[str, pa.Array], sensitive: Sequence[str]
) -> tuple[dict[str, Any], ...]:
    """Return the difference in each group, with its interval, and whether B is worse there by more than luck.

    The error rate is shared out over all groups (Holm): of twenty equal ones one looks worse at one in twenty.

    Args:
        contest: B against A.
        slices: Column to its value in each row.
        sensitive: Columns whose groups are only numbered.
    """
    found: list[dict[str, Any]] = []
    tests: list[tuple[float, int]] = []
    for column, values in slices.items():
        for name, chosen in _groups(values):
            said = f"group {sum(each['column'] == column for each in found) + 1}" if column in sensitive else name
            gain = _gain(contest, chosen)
            result = {"column": column, "value": said, "rows": int(chosen.sum()), "is_worse": False}
            if gain is not None:
                bounds = {"lower": gain.lower(LOSS_ALPHA), "upper": gain.upper(LOSS_ALPHA), "alpha": LOSS_ALPHA}
                result |= {"estimate": gain.estimate, "error": gain.error, **bounds}
                tests.append((replace(gain, estimate=-gain.estimate).p, len(found)))
            found.append(result)
    for passed, (p, at) in enumerate(sorted(tests)):
        if p > LOSS_ALPHA / (len(tests) - passed):
            break
        found[at]["is_worse"] = True
    return tuple(found)


def _groups(values: pa.Array) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Yield the groups of a column and which rows they have, the largest first."""
    counts = pc.value_counts(pc.fill_null(values, MISSING))
    order = np.lexsort(
        (np.asarray(counts.field("values").to_pylist(), dtype=object), -counts.field("counts").to_numpy())
    )
    names = [counts.field("values")[int(at)].as_py() for at in order]
    codes = np.asarray(pc.index_in(pc.fill_null(values, MISSING), value_set=pa.array(names)))
    for at, name in enumerate(names[:MOST_GROUPS]):
        yield name, codes == at
    if len(names) > MOST_GROUPS:
        yield OTHERS, codes >= MOST_GROUPS


def _gain(contest: Contest, chosen: npt.NDArray[np.bool_]) -> Difference | None:
    """Return by how much B is better among some rows; None where there are too few to say."""
    champion = contest.champion
    if champion is None:
        return None
    labels = contest.labels[chosen]
    positives = int((labels > 0.5).sum()) if contest.task == "binary" else labels.size
    fewest = min(positives, labels.size - positives) if contest.task == "binary" else labels.size
    part = replace(
        contest,
        labels=labels,
        challenger=contest.challenger[chosen],
        champion=champion[chosen],
        clusters=None if contest.clusters is None else contest.clusters[chosen],
    )
    clusters = labels.size if part.clusters is None else np.unique(part.clusters).size
    if fewest < LEAST or clusters < FEWEST_CLUSTERS or part.champion is None or not part.losses(part.champion).any():
        return None
    return part.advantage(part.champion)
