"""Where a search begins: at the parameters of the champion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from incumbent.config import Model
from incumbent.records import ModelVersion
from incumbent.search_space import value_of
from incumbent.store import ModelStore
from incumbent.train.space import nearest


def prior_of(store: ModelStore, model: Model, request: str) -> Mapping[str, Any]:
    """Return the champion's parameters as the nearest point of the space; empty if there is none.

    Who is champion is pinned when a request's search begins, so each later attempt begins at the same point. The
    champion's parameters have passed the gates, which those of the last search need not have.

    Args:
        store: The model's store.
        model: Its configuration, with `train.search`.
        request: Retrain request id.
    """
    train, champion = model.train, store.champion()
    if train.search is None:
        return {}
    seen = {"request": request, "generation": champion.generation if champion else 0}
    generation = store.records.claim("pins", f"search-{request}", seen)["generation"]
    if not generation:
        return {}
    version = store.records.get(ModelVersion, store.promotion(generation).version)
    if version.estimator != train.estimator:
        return {}
    space = train.search.space_of(train.estimator)
    return nearest(space, {name: value_of(train.estimator, version.params, name) for name in space}) or {}
