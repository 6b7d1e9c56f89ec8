"""Feature definitions in the store: judged by their text when they come, and read back by their digest."""

from __future__ import annotations

import logging

from incumbent.config import Model
from incumbent.errors import StoreError
from incumbent.features.lint import refuse
from incumbent.records import digest_of
from incumbent.store import ModelStore

LOG = logging.getLogger(__name__)


def register(store: ModelStore, model: Model, sql: str) -> str:
    """Store a definition that can be used and return its digest.

    One that is stored already was accepted when it came: a rule that is newer does not take a champion's features away.

    Raises:
        FeatureError: The text is refused; see `incumbent.features.lint`.
    """
    data = sql.encode()
    if (digest := digest_of(data)) in store.objects:
        return digest
    for warning in refuse(sql, model):
        LOG.warning("model %s, features.sql, %s", model.name, warning)
    return store.objects.put(data)


def stored_sql(store: ModelStore, definition: str) -> str:
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
