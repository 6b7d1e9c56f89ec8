"""Feature definitions in the store: judged by their text when they come, and read back by their digest."""

from __future__ import annotations

import logging

from incumbent.config import Model
from incumbent.definition import unpacked
from incumbent.errors import StoreError
from incumbent.features.lint import refuse
from incumbent.records import digest_of
from incumbent.store import ModelStore

LOG = logging.getLogger(__name__)


def register(store: ModelStore, model: Model, text: str) -> str:
    """Store a definition that can be used and return its digest.

    One that is stored already was accepted when it came: a rule that is newer does not take a champion's features away.

    Raises:
        FeatureError: The SQL is refused; see `incumbent.features.lint`.
    """
    data = text.encode()
    if (digest := digest_of(data)) in store.objects:
        return digest
    sql, python = unpacked(text)
    for warning in refuse(sql, model):
        LOG.warning("model %s, features.sql, %s", model.name, warning)
    for name in unproven_of(model) if python else ():
        LOG.warning("model %s, model.py: nothing shows that its rows of %s were known by %s; name the column that says "
                    "when: sources.%s.known_at in model.yaml", model.name, name, model.time, name)  # fmt: skip
    return store.objects.put(data)


def unproven_of(model: Model) -> list[str]:
    """Return the context sources with rows over time of which nobody says when they were known."""
    sources = ((name, model.sources[name]) for name in model.context_sources)
    return [name for name, source in sources if not source.once and source.known_at is None]


def stored_text(store: ModelStore, definition: str) -> str:
    """Return the text of a stored feature definition.

    Raises:
        StoreError: It is missing or altered.
    """
    try:
        return store.objects.get(definition).decode()
    except UnicodeDecodeError as error:
        raise StoreError(
            "feature definition is no text", where=definition, next_step="run `incumbent store check`"
        ) from error
