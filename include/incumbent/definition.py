"""A feature definition as one text: the SQL alone, or with the `model.py` whose `features` goes on from it.

The SQL alone is its own text, and its digest that of `features.sql`. With a function both lie in one JSON object, which
no SELECT looks like.
"""

from __future__ import annotations

import json

from incumbent.records import canonical_json

SQL, PYTHON = "features.sql", "model.py"
SCHEMA = "incumbent.definition/1"
MARK = f'"schema":"{SCHEMA}"}}'


def packed(sql: str, python: str = "") -> str:
    """Return the text of a definition.

    Args:
        sql: Text of `features.sql`.
        python: Text of a `model.py` that defines `features`; empty without one.
    """
    return canonical_json({SQL: sql, PYTHON: python, "schema": SCHEMA}).decode() if python else sql


def unpacked(text: str) -> tuple[str, str]:
    """Return the two texts of a definition; the second is empty where there is none.

    >>> unpacked(packed("SELECT 1", "def features(table, context): ..."))
    ('SELECT 1', 'def features(table, context): ...')
    >>> unpacked(packed("SELECT 1"))
    ('SELECT 1', '')
    """
    if not (text.startswith("{") and text.endswith(MARK)):
        return text, ""
    plain = json.loads(text)
    return plain[SQL], plain[PYTHON]


def files_of(text: str) -> dict[str, bytes]:
    """Return the files of a definition by name, for people."""
    return {name: each.encode() for name, each in zip((SQL, PYTHON), unpacked(text), strict=True) if each}


def names_of(text: str) -> str:
    """Return what a definition is written in, for messages.

    >>> names_of("SELECT 1")
    'features.sql'
    """
    return " and ".join(files_of(text))
