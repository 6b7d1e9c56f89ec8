"""The values at which each feature is cut into bins, learned once for all workers of a fit.

XGBoost learns them itself, each worker from its share, and merges what they found: the bins then depend on how many
workers there are, and with them every tree. With the same bins one worker and many grow the same trees, and no
worker has to look for them: that is the longer half of its preparations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from incumbent.estimators.encoding import Encoder, Matrix
from incumbent.estimators.shards import Chosen, Shard

DEFAULT_BINS = 256
SAMPLE_ROWS = 200_000  # a rank among them is known to 0.1 %, a quarter of a bin
SAMPLE_GROUPS = 128


def learn_bins(
    files: Sequence[Path],
    chosen: Sequence[Chosen],
    encoder: Encoder,
    bins: int = DEFAULT_BINS,
    kept: Mapping[str, npt.NDArray[np.float32]] | None = None,
) -> Matrix:
    """Return rows that hold each feature's cuts, shape (n_cuts, n_features), NaN where a feature has fewer.

    All values of a feature that has few, else the quantiles of a sample that depends on the rows alone; all codes of
    one that is text.

    Args:
        files: The Parquet files.
        chosen: Rows to learn from.
        encoder: Features and vocabulary.
        bins: Most bins of a feature.
        kept: Feature to more cuts of it: where trees that are there already split it. A row in bins stands for all
            with its cuts, so it would else go another way through these trees than it does by itself.
    """
    whole = Shard(files, chosen, encoder)
    world = -(-whole.groups // SAMPLE_GROUPS) or 1
    some = Shard(files, chosen, encoder, 0, world)
    stride = -(-some.rows // SAMPLE_ROWS) or 1
    sampled = [batch.matrix[::stride] for batch in some]
    cuts = [
        _cuts(name, encoder, [part[:, position] for part in sampled], bins)
        for position, name in enumerate(encoder.features)
    ]
    cuts = [np.union1d(own, (kept or {}).get(name, own)) for name, own in zip(encoder.features, cuts, strict=True)]
    found = np.full((max(map(len, cuts), default=0), len(cuts)), np.nan, dtype=np.float32)
    for position, values in enumerate(cuts):
        found[: len(values), position] = values
    return found


def quantiles(values: npt.NDArray[np.float32], bins: int) -> npt.NDArray[np.float32]:
    """Return at most `bins - 1` of some values, the least and the largest among them, in order.

    XGBoost puts one cut above the largest, and a feature of more than 256 bins takes two bytes a row.

    >>> quantiles(np.array([3, 1, 2, np.nan, 2], np.float32), 256)
    array([1., 2., 3.], dtype=float32)
    >>> quantiles(np.arange(1000, dtype=np.float32), 5)
    array([  0., 333., 666., 999.], dtype=float32)
    """
    ordered = np.sort(values[~np.isnan(values)])
    distinct = np.unique(ordered)
    if len(distinct) < bins:
        return distinct
    return np.unique(ordered[np.linspace(0, len(ordered) - 1, bins - 1).astype(np.int64)])


def _cuts(name: str, encoder: Encoder, values: Sequence[npt.NDArray[np.float32]], bins: int) -> npt.NDArray[np.float32]:
    if name in encoder.categories:
        return np.arange(len(encoder.categories[name]), dtype=np.float32)
    return quantiles(np.concatenate([np.empty(0, np.float32), *values]), bins)
