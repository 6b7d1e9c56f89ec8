"""Which candidates a request trains: one from nothing, and others beside it that share its error rate.

Or one alone: the champion with another intercept, where that is what is wrong with it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from incumbent.config import Model
from incumbent.estimators.abilities import ABILITIES
from incumbent.records import FRESH, RECALIBRATED, ModelVersion, Snapshot, digest_of, training_name
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
        origin: `fresh`, from nothing; `warm`, the champion with more rounds; `recent`, from the newer rows alone;
            `recalibrated`, the champion with the intercept of the newer rows.
        base: Version that a warm or recalibrated one goes on from; empty for the others.
        since: First local day of a recent or recalibrated one's training rows; empty for the others.
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
    store: ModelStore, model: Model, snapshot: Snapshot, request: str, since: str = "", *, recalibrates: bool = False
) -> list[Candidate]:
    """Return the candidates of a request, the one from nothing first.

    Where the request asks for a recalibration, that is the only one; the usual ones if there is none of this champion.

    Who is champion is pinned when this is first asked: each later attempt has the same candidates.

    Args:
        store: The model's store.
        model: Its configuration; `train.warm_rounds` among it.
        snapshot: The pinned training set.
        request: Retrain request id.
        since: First local day of a second candidate's rows, which the request asks for; empty if it asks for none.
        recalibrates: Whether it asks for the champion with another intercept, from the rows since that day.
    """
    pin = _pin(request)
    if not store.records.has(PINS, pin):
        others: dict[str, Mapping[str, str]] = {}
        if recalibrates and (base := _base(store, model, snapshot, RECALIBRATED)):
            others[RECALIBRATED] = {"base": base, "since": since}
        elif model.train.warm_rounds and (base := _base(store, model, snapshot, WARM)):
            others[WARM] = {"base": base}
        if since and not recalibrates:
            others[RECENT] = {"since": since}
        if not others:
            return [Candidate(request)]
        store.records.claim(PINS, pin, others)
    pinned = [Candidate(request, origin, **about) for origin, about in store.records.get_plain(PINS, pin).items()]
    return pinned if pinned[0].origin == RECALIBRATED else [Candidate(request), *pinned]


def candidate_of(store: ModelStore, request: str, origin: str) -> Candidate:
    """Return the candidate of a request that has an origin, once `candidates_of` was asked.

    Who asks for the first, by whichever name, gets the first: a recalibration is instead of the one from nothing.
    """
    pinned = store.records.get_plain(PINS, _pin(request)) if store.records.has(PINS, _pin(request)) else {}
    if origin == FRESH and RECALIBRATED in pinned:
        origin = RECALIBRATED
    return Candidate(request) if origin == FRESH else Candidate(request, origin, **pinned[origin])


def _pin(request: str) -> str:
    return f"candidates-{request}"


def _base(store: ModelStore, model: Model, snapshot: Snapshot, origin: str) -> str:
    """Return the champion's version if a fit can go on from it; what stands against it is logged."""
    champion = store.champion()
    if champion is None:
        return ""
    version = store.records.get(ModelVersion, champion.version)
    against = _against(model, snapshot, version) or (_against_more(model, snapshot, version) if origin == WARM else "")
    if against:
        LOG.info("no %s candidate: generation %d %s", origin, champion.generation, against)
    if against:
        return ""
    return version.trees if origin == RECALIBRATED else version.digest  # its intercept is found anew in any case


def _against(model: Model, snapshot: Snapshot, champion: ModelVersion) -> str:
    if not ABILITIES[champion.estimator].warm:
        return f"is of estimator {champion.estimator}, which cannot go on from a version"
    if champion.estimator != model.train.estimator:
        return f"is of estimator {champion.estimator}"
    if champion.definition != snapshot.definition:
        return "has another features.sql"
    if tuple(champion.classes) != snapshot.classes:
        return f"predicts the classes {', '.join(champion.classes)}"
    if champion.train_until > snapshot.train_until:
        return f"has seen rows up to {champion.train_until}, and the gate rows begin earlier than that"
    text = Work(model, snapshot).functions
    if champion.functions != (digest_of(text.encode()) if text else ""):
        return "was fitted with another model.py"
    return ""


def _against_more(model: Model, snapshot: Snapshot, champion: ModelVersion) -> str:
    if _set_by_folder(model.train.params, champion) != _set_by_folder(champion.params, champion):
        return "was fitted with other train.params than model.yaml has now"
    return ""


def _set_by_folder(params: Mapping[str, Any], champion: ModelVersion) -> dict[str, Any]:
    unset = (*NOT_CHOSEN, *champion.params.get("searched", ()))
    return {name: value for name, value in params.items() if name not in unset}
