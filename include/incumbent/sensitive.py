"""Columns that hold what is a person's: which they are, and how their values are kept out of what people read.

Here and not with the contract, which belongs to VALIDATE: FEATURES, MONITOR and the commands need it too.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

MASK = "***"  # of one length: a value's own says something
NOT_SHOWN = "not shown: the source has sensitive columns"
# What DuckDB says before it looks at any row; its other errors may repeat a value.
OF_THE_SQL = frozenset({"BinderException", "CatalogException", "ParserException", "SyntaxException"})


@dataclass(frozen=True)
class Sensitive:
    """What a model's contract says of the columns of each source.

    Attributes:
        masked: Source to the columns whose values nobody is shown.
        kept_out: Source to the columns that `features.sql` does not see.
        hashed: Source to the columns that are stored as pseudonyms.
    """

    masked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kept_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hashed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def seen_by_features(self, sources: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Return the sensitive columns of some sources that `features.sql` sees in the clear."""
        hidden = {source: {*self.kept_out.get(source, ()), *self.hashed.get(source, ())} for source in sources}
        found = {
            source: tuple(name for name in self.masked.get(source, ()) if name not in hidden[source])
            for source in sources
        }
        return {source: names for source, names in found.items() if names}


def sensitive_columns(sources: Mapping[str, Mapping[str, Any]]) -> Sensitive:
    """Return what plain contracts say, by source and column.

    >>> sensitive_columns({"people": {"mail": {"sensitive": True}, "id": {"hashed": True}}})
    Sensitive(masked={'people': ('mail',)}, kept_out={'people': ('mail',)}, hashed={'people': ('id',)})
    """
    masked, kept_out, hashed = {}, {}, {}
    for source, columns in sources.items():
        said = {str(name): column if isinstance(column, Mapping) else {} for name, column in columns.items()}
        masked[source] = tuple(name for name, column in said.items() if column.get("sensitive"))
        hashed[source] = tuple(name for name, column in said.items() if column.get("hashed"))
        kept_out[source] = tuple(
            name
            for name, column in said.items()
            if is_kept_out(bool(column.get("sensitive")), bool(column.get("hashed")), column.get("in_features"))
        )
    return Sensitive(masked, kept_out, hashed)


def is_kept_out(sensitive: bool, hashed: bool, in_features: bool | None) -> bool:
    """Return whether `features.sql` does not see a column: a sensitive one is let in by a person, or as a pseudonym."""
    return in_features is False or (in_features is None and sensitive and not hashed)


def quotable(error: Exception, hide: bool, length: int = 300) -> str:
    """Return what a library said in one line, or that it is not shown: its words may be somebody's values.

    Args:
        error: Of DuckDB, Arrow, or whatever else repeats what it could not read.
        hide: Whether a sensitive column may be in its words.
        length: Most characters.
    """
    if hide and type(error).__name__ not in OF_THE_SQL:
        return f"{type(error).__name__}, {NOT_SHOWN}"
    return " ".join(str(error).split())[:length]


def mask_row(text: str, names: Collection[str]) -> str:
    """Return a row that is kept as JSON, with the values of some columns masked; nothing stays nothing.

    >>> mask_row('{"id":1,"mail":"ann@example.org","age":null}', ["mail", "age"])
    '{"id":1,"mail":"***","age":null}'
    """
    row = json.loads(text)
    shown = {name: MASK if name in names and value is not None else value for name, value in row.items()}
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
