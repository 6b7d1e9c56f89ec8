"""Who predicts for a unit: decided by a hash of its value, so that nobody has to remember it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pandas.util import hash_array

from incumbent.records import digest_of

JOINED_BY = "/"


def units(rows: pa.Table, columns: Sequence[str]) -> pa.Array:
    """Return the unit of each row as text: the values of its columns, joined."""
    texts = [pc.fill_null(rows[name].cast(pa.string()), "") for name in columns]
    joined = texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, JOINED_BY)
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def assigned(of: pa.Array, salt: str, share: float, exclude: Sequence[str] = ()) -> npt.NDArray[np.bool_]:
    """Return which units are the challenger's: a share of them, the same ones each time.

    Sticky: who is the challenger's at some share is so at every larger one. Another salt deals anew.

    Args:
        of: Unit of each row, text.
        salt: What tells one rollout from another.
        share: Share of the units that is the challenger's, in [0, 1).
        exclude: Units that stay with the champion.

    Returns:
        Shape (n_rows,).

    >>> found = assigned(pa.array([str(each) for each in range(1000)]), "2013-02-r1", 0.1, ["7"])
    >>> int(found.sum()), bool(found[7])
    (106, False)
    """
    key = digest_of(salt)[:16]
    coded = of.dictionary_encode()
    drawn = hash_array(np.asarray(coded.dictionary.to_numpy(zero_copy_only=False), dtype=object), hash_key=key)
    mine = drawn < np.uint64(share * 2.0**64)
    if exclude:
        mine &= ~np.asarray(pc.is_in(coded.dictionary, value_set=pa.array(exclude, pa.string())))
    out: npt.NDArray[np.bool_] = mine[coded.indices.to_numpy()] if len(of) else np.zeros(0, dtype=np.bool_)
    return out
