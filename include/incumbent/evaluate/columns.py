"""The columns that gates ask for by name: where they are found, and whether their values may be shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from incumbent.config import Model
from incumbent.errors import ConfigError
from incumbent.evaluate.contest import Groups
from incumbent.evaluate.groups import MOST_LEVELS, groups_of
from incumbent.records import ModelVersion

Beside = Callable[[pa.Table, Sequence[str]], pa.Table]


def asked_columns(model: Model) -> tuple[str, ...]:
    """Return the columns that slices and fairness ask for."""
    return tuple(dict.fromkeys([*model.gates.slices, *(each.column for each in model.gates.fairness)]))


def check_columns(model: Model, features: Sequence[str], batch: Collection[str]) -> None:
    """Refuse gates of columns that there are not: found after a training, they cost it.

    Args:
        model: Its configuration.
        features: Columns of its feature rows.
        batch: Columns of its batch source.

    Raises:
        ConfigError: There is one.
    """
    named = [("gates.slices", name, {*features, *batch}) for name in model.gates.slices]
    named += [("gates.fairness", each.column, {*features, *batch}) for each in model.gates.fairness]
    own = [name for name in features if name not in (*model.keys, model.time)]
    named += [(f"gates.behaviour, {each.name}", each.feature, {*own}) for each in model.gates.behaviour]
    for where, name, known in named:
        if name not in known:
            raise ConfigError(
                "a gate asks for a column that there is not",
                where=f"model {model.name}, model.yaml: {where}",
                expected="of " + ", ".join(sorted(known)),
                found=name,
                next_step="correct the name, or features.sql",
            )


@dataclass(frozen=True)
class Asked:
    """Finds the groups of gate rows.

    Attributes:
        model: Its configuration.
        version: The candidate.
        rows: Gate rows of its definition.
        beside: Columns of the batch that they were made from.
    """

    model: Model
    version: ModelVersion
    rows: pa.Table
    beside: Beside

    def slices(self) -> tuple[Groups, ...]:
        """Return the slices that a person named, and the candidate's categories of few levels."""
        named = self.model.gates.slices
        categories: Mapping[str, Sequence[str]] = self.version.categories
        found = [name for name, levels in categories.items() if len(levels) <= MOST_LEVELS and name not in named]
        groups = [self.groups(name, named=True) for name in named]
        groups += [self.groups(name) for name in found if name in self.rows.column_names]
        return tuple(each for each in groups if each.named or len(each.names) > 1)

    def fairness(self) -> dict[str, Groups]:
        """Return the groups that the candidate must be fair to."""
        return {each.column: self.groups(each.column, named=True) for each in self.model.gates.fairness}

    def groups(self, column: str, named: bool = False) -> Groups:
        """Return the groups of a column."""
        if column in self.rows.column_names:
            return groups_of(column, self.rows[column], self._is_masked(column), named)
        return groups_of(column, self._batch[column], self._is_hidden(column), named)

    @cached_property
    def _batch(self) -> pa.Table:
        wanted = [name for name in asked_columns(self.model) if name not in self.rows.column_names]
        return self.beside(self.rows, wanted)

    def _is_masked(self, column: str) -> bool:
        """Return whether values of feature rows are not shown: which features a person's data is in, nobody knows."""
        if column in (*self.model.keys, self.model.time):
            return self._is_hidden(column)
        return bool(self.version.sensitive or self.model.sensitive_in_features) or self._is_hidden(column)

    def _is_hidden(self, column: str) -> bool:
        said, source = self.model.sensitive, self.model.batch_source
        return column in said.masked.get(source, ()) or column in said.hashed.get(source, ())
