"""The rows of two files of predictions side by side, by key; or those of one file that has both.

Fails closed: rows that only one file has, keys that occur twice and labels that the files do not agree on are errors,
for a comparison without them would be one of other rows than the person means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from incumbent.alone.table import Given, plain
from incumbent.errors import BatchError, ConfigError
from incumbent.sensitive import MASK

LEFT, RIGHT, ROW = "#a", "#b", "#row"


@dataclass(frozen=True)
class Asked:
    """What is compared, by the names of columns.

    Attributes:
        label: What came true; empty where it is not known yet.
        key: Identify a row in both files; none for one file.
        scores: Of A and of B; None to look for one.
        task: `binary`, `multiclass` or `regression`; None to find it out.
        cluster: Rows that have these in common share their luck.
        slices: In whose groups the two are compared as well.
        sensitive: Columns whose values nobody is shown.
    """

    label: str
    key: tuple[str, ...] = ()
    scores: tuple[str | None, str | None] = (None, None)
    task: str | None = None
    cluster: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()


def holder_of(sides: tuple[Given, Given], column: str) -> Given:
    """Return the file that has a column: A, if both have it.

    Raises:
        ConfigError: Neither has it.
    """
    for side in sides:
        if _has(side, column):
            return side
    if sides[0] is sides[1]:
        sides[0].has([column])
    raise ConfigError(
        "a column is in neither table",
        where=f"{sides[0].name}, {sides[1].name}: {column}",
        expected="; ".join(f"in {side.name} one of {side.listed}" for side in sides),
        found=column,
        next_step="correct the name",
    )


def matched(
    sides: tuple[Given, Given], asked: Asked, names: tuple[str, str], classes: tuple[str, ...], *, is_one: bool
) -> pa.Table:
    """Return each row of both, in the order of A.

    Args:
        sides: A and B.
        asked: Names of columns.
        names: Score column of each side, or what its columns of all classes begin with.
        classes: Of a multiclass task.
        is_one: Whether both sides are one file.

    Returns:
        `#label`, `#a` and `#b` (with ` CLASS` of several), `#cluster NAME` and `#slice NAME`.

    Raises:
        ConfigError: A column is missing, or there is no key.
        BatchError: The rows do not fit together.
    """
    beside = {
        "#label": asked.label,
        **{f"#cluster {name}": name for name in asked.cluster},
        **{f"#slice {name}": name for name in asked.slices},
    }
    holders = {name: holder_of(sides, name) for name in beside.values()}
    tables = []
    for side, mark, score in zip(sides, (LEFT, RIGHT), names, strict=True):
        own = {f"{mark} {name}": f"{score}_{name}" for name in classes} or {mark: score}
        own |= {said: name for said, name in beside.items() if holders[name] is side and (mark == LEFT or not is_one)}
        own |= {"#label again": asked.label} if mark == RIGHT and not is_one and _has(side, asked.label) else {}
        tables.append(_columns(side, {**{f"#key {name}": name for name in asked.key}, **own}))
    left, right = tables
    if is_one:
        for name in right.column_names:
            if name.startswith(RIGHT):
                left = left.append_column(name, right[name])
        return left
    return _joined(sides, left, right, asked)


def _has(side: Given, column: str) -> bool:
    return column in side.rows.column_names


def _columns(side: Given, named: Mapping[str, str]) -> pa.Table:
    return plain(pa.table([side.rows[name] for name in named.values()], list(named)))


def _joined(sides: tuple[Given, Given], left: pa.Table, right: pa.Table, asked: Asked) -> pa.Table:
    keys = [f"#key {name}" for name in asked.key]
    if not keys:
        raise ConfigError(
            "two files need a key to be compared",
            where="--key",
            expected="the columns that identify a row",
            found="none",
            next_step="name them with --key",
        )
    for side, table in zip(sides, (left, right), strict=True):
        _check_keys(side, table, keys, asked)
    kinds = [(left[key].type, right[key].type) for key in keys]
    if any(one != other for one, other in kinds):
        right = _same_types(sides, left, right, keys)
    left = left.append_column(ROW, pa.array(np.arange(left.num_rows)))
    rows = left.join(right, keys, join_type="inner").sort_by(ROW)  # in any order sums differ in their last digits
    for (mine, side), theirs in zip(((left, sides[0]), (right, sides[1])), (right, left), strict=True):
        if lacking := mine.num_rows - rows.num_rows:
            other = sides[1] if side is sides[0] else sides[0]
            alone = mine.join(theirs.select(keys), keys, join_type="left anti")
            raise BatchError(
                "the files have other rows",
                where=f"{side.name}: {', '.join(asked.key)}",
                expected=f"the keys of {other.name}",
                found=f"{lacking} of {mine.num_rows} rows whose key is not there",
                examples=_examples(alone, keys, asked),
                next_step="let both predict the same rows, or take the others out of both files",
            )
    if "#label again" in rows.column_names:
        _check_labels(sides, rows, asked)
    return rows


def _same_types(sides: tuple[Given, Given], left: pa.Table, right: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Return B with the keys in the types of A: one writer's integers are another's smaller ones."""
    for key in keys:
        at, kind = right.schema.get_field_index(key), left[key].type
        try:
            right = right.set_column(at, key, right[key].cast(kind))
        except pa.ArrowException as error:
            raise BatchError(
                "the keys are of other types",
                where=f"{sides[1].name}: {key.removeprefix('#key ')}",
                expected=str(kind),
                found=str(right[key].type),
                next_step="write them alike",
            ) from error
    return right


def _check_keys(side: Given, table: pa.Table, keys: Sequence[str], asked: Asked) -> None:
    if lacking := [key for key in keys if table[key].null_count]:
        raise BatchError(
            "a key is missing",
            where=f"{side.name}: {lacking[0].removeprefix('#key ')}",
            expected="a value in each row",
            found=f"{table[lacking[0]].null_count} rows without",
            next_step="take these rows out, or choose another key",
        )
    counted = table.group_by(keys).aggregate([([], "count_all")])
    twice = counted.filter(pc.greater(counted["count_all"], 1))
    if twice.num_rows:
        raise BatchError(
            "a key occurs more than once",
            where=f"{side.name}: {', '.join(asked.key)}",
            expected="one row for each key",
            found=f"{twice.num_rows} keys of several rows",
            examples=_examples(twice, keys, asked),
            next_step="name more columns with --key, or keep one row of each",
        )


def _examples(rows: pa.Table, keys: Sequence[str], asked: Asked) -> list[str]:
    if set(asked.key) & set(asked.sensitive):
        return [MASK]
    first = rows.select(keys).sort_by([(key, "ascending") for key in keys]).slice(0, 5).to_pylist()
    return [" ".join(str(row[key]) for key in keys) for row in first]


def _check_labels(sides: tuple[Given, Given], rows: pa.Table, asked: Asked) -> None:
    """Refuse labels of which one file says something else than the other."""
    one, other = (rows[name].cast(pa.string()) for name in ("#label", "#label again"))
    if differ := pc.sum(pc.fill_null(pc.not_equal(one, other), False)).as_py():
        raise BatchError(
            "the files have other labels",
            where=f"{sides[1].name}: {asked.label}",
            expected=f"the labels of {sides[0].name}",
            found=f"{differ} of {rows.num_rows} rows with another one",
            next_step="join both with the outcomes again, and keep the label in one of them",
        )
