"""Walk the predictions and report those whose provenance does not hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from incumbent.records import ModelVersion, Part
from incumbent.store.check_tables import CAN_BE_READ
from incumbent.store.check_walk import Walk
from incumbent.store.removals import ERASURE, Removal
from incumbent.store.violation import Violation, guarded

MADE_BY = "predictions name the generation that made them"
ONE = "one generation per predictions partition"
ROLLOUTS, CHAMPION = "rollouts", "champion"
PROVENANCE = ["generation", "version", "definition", "features_digest", "batch_digest", "variant"]


def check_predictions(walk: Walk) -> Iterator[Violation]:
    """Yield the violations of the predictions that stand now."""
    yield from guarded(CAN_BE_READ, "predictions", _partitions(walk))


def _partitions(walk: Walk) -> Iterator[Violation]:
    for part in walk.store.predictions.parts().values():
        where = f"predictions, partition {part.partition}"
        if not list(walk.data(["predictions"], part.partition, part.digest, part.rows, where)):  # else reported there
            yield from guarded(CAN_BE_READ, where, _partition(walk, part, where))


def _partition(walk: Walk, part: Part, where: str) -> Iterator[Violation]:
    held = [walk.store.predictions.read_parts([part], PROVENANCE)]
    if aside := walk.store.unscored.part(part.partition):
        held.append(walk.store.unscored.read_parts([aside], PROVENANCE))
    made = pa.concat_tables(held).group_by(PROVENANCE).aggregate([([], "count_all")]).to_pylist()
    if not made and not any(removal.successor == part.digest for removal in _erased(walk, part.partition)):
        yield Violation(MADE_BY, where, "no rows")
    if len(made) != len({found["variant"] for found in made}) or len({found["generation"] for found in made}) > 1:
        yield Violation(ONE, where, f"{len(made)} generations or inputs")
    rows = sum(found["count_all"] for found in made)  # of a rollout, two versions have predicted them together
    for found in made:
        yield from _provenance(walk, part.partition, {**found, "rows": rows}, where)


def _may_predict(walk: Walk, generation: int, version: str, variant: str) -> bool:
    """Return whether a version had the seat, or was the challenger of a rollout beside who had it."""
    if variant == CHAMPION:
        return walk.holder(generation) == version
    begun = (name for name in walk.store.records.names(ROLLOUTS) if name.endswith("/open"))
    plans = (walk.store.records.get_plain(ROLLOUTS, name) for name in begun)
    return any((plan["generation"], plan["version"]) == (generation, version) for plan in plans)


def _erased(walk: Walk, partition: str) -> list[Removal]:
    return walk.store.records.all(Removal, f"{ERASURE}/predictions/{partition}/")


def _provenance(walk: Walk, partition: str, made: Mapping[str, Any], where: str) -> Iterator[Violation]:
    generation, version, rows = made["generation"], made["version"], made["rows"]
    if generation is None or version is None or not _may_predict(walk, generation, version, made["variant"]):
        yield Violation(MADE_BY, where, f"generation {generation}, version {version}")
    elif (expected := walk.store.records.get(ModelVersion, version).definition) != made["definition"]:
        yield Violation(MADE_BY, where, f"definition {made['definition']}, the version's is {expected}")
    features, batch = str(made["features_digest"]), str(made["batch_digest"])
    of_definition = [f"features/{str(made['definition'])[:16]}"]
    yield from walk.data(of_definition, partition, features, rows, f"{where}, features")
    yield from walk.data(walk.tables_of("batches"), partition, batch, rows, f"{where}, batch")
