"""Feature rows that a definition's own function goes on from, once its SQL has given them."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from incumbent.config import Model
from incumbent.errors import FeatureError
from incumbent.features.columns import check_features, check_keys, plain_types, wrong
from incumbent.functions import FILE, Functions
from incumbent.sensitive import quotable


def gone_on(
    rows: pa.Table, context: Mapping[str, pa.Table], python: str, model: Model, partition: str
) -> pa.RecordBatchReader:
    """Give the rows that `features` makes of those of the SQL, in the types that features are stored in.

    Args:
        rows: Keys, time and whatever else the SQL gives, sorted by key.
        context: Source to the rows of it that the partition may see.
        python: Text of `model.py`, as it lies in the definition.
        model: Its configuration.
        partition: Partition key.

    Raises:
        FeatureError: The function fails, changes keys or times, or gives a feature that no model takes.
    """
    where = f"model {model.name}, {FILE}, partition {partition}"
    hide = bool(model.sensitive_in_features)
    # Not read anew: it was judged when it came, and a rule that is newer does not take a champion's features away.
    functions = Functions(python, frozenset(("features",)), hide)
    found = functions.call("features", rows, context, error=FeatureError, where=where)
    if not isinstance(found, pa.Table) or len(set(found.column_names)) < found.num_columns:
        said = "a column twice" if isinstance(found, pa.Table) else f"a {type(found).__name__}"
        raise wrong(
            where, "*", "features gives no table", "a pyarrow table", said, "return the table, with columns added"
        )
    check_keys(model, found.schema, where)
    check_features(model, found.schema, where)
    try:
        plain = plain_types(found)
    except pa.ArrowException as error:
        said, remedy = quotable(error, hide, 200), "cast it to float64 or int64"
        raise wrong(where, "*", "a feature cannot be stored", str(found.schema.types), said, remedy) from (
            None if hide else error
        )
    _check_rows(model, rows, plain, where)
    return plain.to_reader()


def _check_rows(model: Model, rows: pa.Table, found: pa.Table, where: str) -> None:
    for name in (*model.keys, model.time):
        if not found[name].equals(rows[name]):
            what, expected = "features changes, loses or reorders rows", f"the {rows.num_rows} rows as they came"
            remedy = "leave the keys and the time as they are, and add columns in the order of the rows"
            raise wrong(where, name, what, expected, f"{found.num_rows} rows, others or in another order", remedy)
    for name in found.column_names:
        if pa.types.is_floating(found[name].type) and (count := pc.sum(pc.is_inf(found[name])).as_py() or 0):
            expected, remedy = "finite numbers or nulls", "guard divisions and logarithms; a null is a missing value"
            raise wrong(where, name, "a feature is infinite", expected, f"{count} infinite values", remedy)
