"""Which candidates a request trains: one from nothing, and others beside it that share its error rate."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from incumbent.config import Model
from incumbent.records import FRESH, ModelVersion, Snapshot, digest_of, training_name
from incumbent.store import ModelStore
from incumbent.train.warm import NOT_CHOSEN
from incumbent.train.work import Work

LOG = logging.getLogger(__name__)
WARM = "warm"
RECENT = "recent"
PINS = "pins"


@dataclass(frozen=True)
class Candidate:
    """One candidate of a request.

    Attributes:
        request: Retrain request id.
        origin: `fresh`, from nothing; `warm`, the champion with more rounds; `recent`, from the newer rows alone.
        base: Version that a warm one goes on from; empty for the others.
        since: First local day of a recent one's training rows; empty for the others.
    """

    request: str
    origin: str = FRESH
    base: str = ""
    since: str = ""

    @property
    def name(self) -> str:
        """Name of its training."""
        return training_name(self.request, self.origin)


def candidates_of(
    store: ModelStore, model: Model, snapshot: Snapshot, request: str, since: str = ""
) -> list[Candidate]:
    """Return the candidates of a request, the one from nothing first.

    Who is champion is pinned when this is first asked: each later attempt has the same candidates.

    Args:
        store: The model's store.
        model: Its configuration; `train.warm_rounds` among it.
        snapshot: The pinned training set.
        request: Retrain request id.
        since: First local day of a second candidate's rows, which the request asks for; empty if it asks for none.
    """
    pin = f"candidates-{request}"
    if not store.records.has(PINS, pin):
        others: dict[str, Mapping[str, str]] = {}
        if model.train.warm_rounds and (base := _base(store, model, snapshot)):
            others[WARM] = {"base": base}
        if since:
            others[RECENT] = {"since": since}
        if not others:
            return [Candidate(request)]
        store.records.claim(PINS, pin, others)
    return [
        Candidate(request),
        *(Candidate(request, origin, **about) for origin, about in store.records.get_plain(PINS, pin).items()),
    ]


def candidate_of(store: ModelStore, request: str, origin: str) -> Candidate:
    """Return the candidate of a request that has an origin, once `candidates_of` was asked."""
    if origin == FRESH:
        return Candidate(request)
    return Candidate(request, origin, **store.records.get_plain(PINS, f"candidates-{request}")[origin])


def _base(store: ModelStore, model: Model, snapshot: Snapshot) -> str:
    """Return the champion's version if more rounds can be added to it; what stands against it is logged."""
    champion = store.champion()
    if champion is None:
        return ""
    version = store.records.get(ModelVersion, champion.version)
    against = _against(model, snapshot, version)
    if against:
        LOG.info("no warm candidate: generation %d %s", champion.generation, against)
    return "" if against else version.digest


def _against(model: Model, snapshot: Snapshot, champion: ModelVersion) -> str:
    if champion.estimator != model.train.estimator:
        return f"is of estimator {champion.estimator}"
    if champion.definition != snapshot.definition:
        return "has another features.sql"
    if tuple(champion.classes) != snapshot.classes:
        return f"predicts the classes {', '.join(champion.classes)}"
    if champion.train_until > snapshot.train_until:
        return f"has seen rows up to {champion.train_until}, and the gate rows begin earlier than that"
    if _set_by_folder(model.train.params, champion) != _set_by_folder(champion.params, champion):
        return "was fitted with other train.params than model.yaml has now"
    text = Work(model, snapshot).functions
    if champion.functions != (digest_of(text.encode()) if text else ""):
        return "was fitted with another model.py"
    return ""


def _set_by_folder(params: Mapping[str, Any], champion: ModelVersion) -> dict[str, Any]:
    unset = (*NOT_CHOSEN, *champion.params.get("searched", ()))
    return {name: value for name, value in params.items() if name not in unset}
