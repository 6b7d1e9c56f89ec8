"""MLflow as a cache of the ledger: registered versions, their files, and the alias `champion`.

The ledger is the truth, because MLflow's alias belongs to whoever wrote last. Everything is looked up
by tag before it is made, so a lost reply or a killed process never leaves two versions of one
digest; what is missing is made by the next call. Nothing waits for MLflow: when it is down,
promotion and scoring go on, and the reconciler tries again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from incumbent.errors import PipelineError
from incumbent.promote.mlflow_client import connect, is_away, log_version, one_at_a_time
from incumbent.records import Promotion
from incumbent.store import ModelStore

log = logging.getLogger(__name__)
ALIAS = "champion"
DIGEST = "incumbent.digest"
GENERATION = "incumbent.generation"
SEAT = "incumbent.champion_generation"


@dataclass(frozen=True)
class Reconciliation:
    """What had to be repaired.

    Attributes:
        registered: Version digests that were registered by this call.
        alias_moved: Whether this call set the alias.
        problems: What was found that nobody of ours did, or what could not be repaired, in sentences.
    """

    registered: tuple[str, ...] = ()
    alias_moved: bool = False
    problems: tuple[str, ...] = field(default=())


def reconcile(store: ModelStore, model_name: str, tracking_uri: str) -> Reconciliation:
    """Bring MLflow in line with the ledger; a second call finds nothing to do.

    A rollback needs no new registered version: the older one's generation tag and the alias move.

    Args:
        store: The model's store.
        model_name: Name of the registered model.
        tracking_uri: Where MLflow is; its registry is taken to be at the same place.

    Raises:
        UnavailableError: MLflow does not answer. What was done so far stands and is found by the
            next call.
    """
    entries = store.ledger()
    if not entries:
        return Reconciliation()
    registered, problems = [], []
    with connect(tracking_uri) as client, one_at_a_time(store):
        from mlflow.exceptions import MlflowException

        known = _versions(client, model_name)
        newest = {entry.version: entry for entry in entries}
        first = {entry.version: entry for entry in reversed(entries)}
        for digest, entry in sorted(first.items(), key=lambda item: item[1].generation):
            try:
                if digest not in known:
                    tags = {DIGEST: digest, GENERATION: str(newest[digest].generation)}
                    known[digest] = log_version(client, store, model_name, entry, tags)
                    registered.append(digest)
                problems += _tag(client, model_name, known[digest], newest[digest])
            except (PipelineError, MlflowException) as error:
                if is_away(error):
                    raise
                problems.append(f"generation {entry.generation} could not be registered: {_line(error)}")
        moved, found = _restore_alias(client, model_name, known, entries[-1])
    problems += found
    for problem in problems:
        log.warning("registry of %s: %s", model_name, problem)
    return Reconciliation(tuple(registered), moved, tuple(problems))


def _versions(client: Any, model: str) -> dict[str, Any]:
    """Return registered versions by digest; of several with one digest, the oldest counts."""
    found: dict[str, Any] = {}
    token = None
    while True:
        page = client.search_model_versions(f"name = '{model}'", max_results=200, page_token=token)
        for version in page:
            digest = version.tags.get(DIGEST)
            if digest and (digest not in found or int(version.version) < int(found[digest].version)):
                found[digest] = version
        token = page.token
        if not token:
            return found


def _tag(client: Any, model: str, version: Any, newest: Promotion) -> list[str]:
    """Let a version's tag name the newest generation in which it held the seat."""
    tagged, wanted = version.tags.get(GENERATION, ""), str(newest.generation)
    if tagged == wanted:
        return []
    client.set_model_version_tag(model, version.version, GENERATION, wanted)
    ours = newest.action == "rollback" and tagged.isdigit() and int(tagged) < newest.generation
    return [] if ours else [f"version {version.version} was tagged generation {tagged!r}; restored to {wanted}"]


def _restore_alias(client: Any, model: str, known: dict[str, Any], head: Promotion) -> tuple[bool, list[str]]:
    """Point the alias at the head of the ledger, and say so when somebody else had moved it."""
    if head.version not in known:
        return False, []
    wanted = str(known[head.version].version)
    details = client.get_registered_model(model)
    found = details.aliases.get(ALIAS)
    found = None if found is None else str(found)
    seated = details.tags.get(SEAT, "")
    problems = []
    if found != wanted:
        # The seat's tag is written after the alias: at the head already, it proves that we had set it.
        if seated == str(head.generation):
            where = f"pointed at version {found}" if found else "was deleted"
            problems.append(f"alias {ALIAS!r} {where}; restored to version {wanted}")
        client.set_registered_model_alias(model, ALIAS, wanted)
    if seated != str(head.generation):
        client.set_registered_model_tag(model, SEAT, str(head.generation))
    return found != wanted, problems


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
