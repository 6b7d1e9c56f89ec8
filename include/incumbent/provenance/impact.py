"""What rests on a batch, a training set or a generation: everything that is to be looked at if it was wrong.

Two ways lead there. What is made *of* some data: features, predictions, training sets. And what is said *by* a version
that learned from it, of whatever rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from incumbent.config import Model, Publish
from incumbent.errors import ConfigError
from incumbent.features.inputs import ONCE, PROFILES, inputs_of
from incumbent.provenance.copied import Copied, copied
from incumbent.provenance.rows import history
from incumbent.provenance.scored import Scored, scored_now
from incumbent.records import GateReport, ModelVersion, Snapshot
from incumbent.store import ModelStore
from incumbent.store.removals import kept
from incumbent.verdict_names import DIAGNOSES, ESTIMATES, VERDICTS

PINS, INPUTS = "pins", "inputs/"
JUDGED = (VERDICTS, ESTIMATES, DIAGNOSES)
Targets = Mapping[str, Publish]
NOWHERE: Targets = {}


@dataclass(frozen=True)
class Impact:
    """What rests on something.

    Attributes:
        of: What it is, for people.
        features: Partitions whose features were made of it, now or before.
        snapshots: Training sets that have rows of it.
        versions: Versions that learned from it, or go on from one that did.
        generations: Their positions in the ledger.
        reports: Gate reports that judged by its rows or over such a version.
        of_data: Predictions that stand and were made of it.
        by_version: Predictions that stand and were made by such a version, of other rows.
        verdicts: Records about those partitions that speak of one of these versions, or of rows made of it.
        published: Partition to its copies in other places that have such rows; also of one that was repaired here
            already, and not there.
        is_there: Whether the batch is as it was delivered; False once a corrected one took its place.
        again: Partitions that are to be scored again: by another version, or of the rows that are there now.
        repair: Generation that is to score them; 0 if nothing is to be, or no generation is untouched.
    """

    of: str
    features: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    generations: tuple[int, ...] = ()
    reports: tuple[str, ...] = ()
    of_data: tuple[Scored, ...] = ()
    by_version: tuple[Scored, ...] = ()
    verdicts: tuple[str, ...] = ()
    published: dict[str, tuple[Copied, ...]] = field(default_factory=dict)
    is_there: bool = False
    again: tuple[str, ...] = ()
    repair: int = 0

    @property
    def partitions(self) -> list[str]:
        """Partitions whose predictions rest on it, in order."""
        return sorted({each.partition for each in (*self.of_data, *self.by_version)})

    @property
    def rows(self) -> int:
        """Prediction rows that stand and rest on it."""
        return sum(each.rows for each in (*self.of_data, *self.by_version))

    def assets(self, model: str) -> dict[str, list[str]]:
        """Return what Airflow calls that which is touched, with its partitions."""
        copies = [each for found in self.published.values() for each in found if each.address]
        return {
            f"{model}.features": list(self.features),
            f"{model}.predictions": self.partitions,
            f"{model}.champion": [str(each) for each in self.generations],
            **{
                f"{model}.published_{place}": [each.partition for each in copies if each.place == place]
                for place in sorted({each.place for each in copies})
            },
        }


def of_generation(store: ModelStore, generation: int, targets: Targets = NOWHERE) -> Impact:
    """Return what rests on a generation: what it scored, and versions that go on from its own.

    Args:
        store: The model's store.
        generation: Position in the ledger.
        targets: `publish` of model.yaml.
    """
    if not 1 <= generation <= len(store.ledger()):
        raise _unknown(store, f"generation {generation}", f"a generation from 1 to {len(store.ledger())}")
    version = store.promotion(generation).version
    versions = [each for each in _with_followers(store, {version}) if each != version]
    return _impact(store, f"generation {generation}", [], versions, {generation}, [], targets)


def of_snapshot(store: ModelStore, snapshot: str, targets: Targets = NOWHERE) -> Impact:
    """Return what rests on a training set: the versions that learned from it, and what they have said."""
    versions = {each.digest for each in store.records.all(ModelVersion) if each.snapshot == snapshot}
    found = _with_followers(store, versions)
    return _impact(store, f"snapshot {snapshot[:16]}", [snapshot], found, set(), [], targets)


def of_batch(store: ModelStore, model: Model, source: str, key: str, targets: Targets = NOWHERE) -> Impact:
    """Return what rests on a delivered partition of a source: as it was before it was corrected, if it was.

    Raises:
        ConfigError: Nothing of it was ever accepted.
    """
    table = store.source(model.sources[source].role, source)
    parts = [each.part for each in history(table, key)]
    if not parts:
        raise _unknown(store, f"{source} {key}", f"a partition of {source} that was accepted")
    # What was left after an erasure is no correction.
    replaced = {part.digest for part in parts if kept(store.records, table.name, part) != parts[-1]}
    digests = replaced or {part.digest for part in parts}
    made = _features_of(store, model, source, digests)
    snapshots = [
        each
        for each in store.records.all(Snapshot)
        if any(part["digest"] in digests and part["partition"] == key for part in each.outcomes)
        or any((each.definition[:16], part["partition"], part["digest"]) in made for part in each.features)
    ]
    ids = [each.id for each in snapshots]
    learned = {each.digest for each in store.records.all(ModelVersion) if each.snapshot in ids}
    name = source if key == ONCE else f"{source} {key}"
    found = _impact(store, name, ids, _with_followers(store, learned), set(), made, targets)
    stale = {each.partition for each in found.of_data} if replaced else set()
    again = tuple(sorted({*found.again, *stale}))
    return replace(found, is_there=not replaced, again=again, repair=_sound(store, found.generations) if again else 0)


def _impact(
    store: ModelStore,
    of: str,
    snapshots: Sequence[str],
    versions: Sequence[str],
    generations: set[int],
    made: Sequence[tuple[str, str, str]],
    targets: Targets,
) -> Impact:
    ledger = store.ledger()
    touched = generations | {entry.generation for entry in ledger if entry.version in versions}
    judged = {*versions, *(entry.version for entry in ledger if entry.generation in generations)}
    scored = scored_now(store)

    def is_of_data(each: Scored) -> bool:
        return (each.definition[:16], each.partition, each.features_digest) in made

    def is_by_version(each: Scored) -> bool:  # a challenger's rows are of one that may never have held the seat
        return each.generation in touched or each.version in versions

    of_data = [each for each in scored if is_of_data(each)]
    by_version = [each for each in scored if is_by_version(each) and not is_of_data(each)]
    keys = sorted({each.partition for each in (*of_data, *by_version)})
    again = sorted({each.partition for each in scored if is_by_version(each)})
    copies = copied(store, targets, lambda each: is_of_data(each) or is_by_version(each))
    return Impact(
        of=of,
        features=tuple(sorted({partition for _, partition, _ in made})),
        snapshots=tuple(snapshots),
        versions=tuple(versions),
        generations=tuple(sorted(touched)),
        reports=tuple(
            each.id for each in store.records.all(GateReport)
            if each.snapshot in snapshots or {each.candidate, each.champion} & judged
        ),
        of_data=tuple(of_data),
        by_version=tuple(by_version),
        verdicts=tuple(_verdicts(store, keys, touched, {each.partition for each in of_data})),
        published={
            key: tuple(each for each in copies if each.partition == key)
            for key in sorted({each.partition for each in copies})
        },
        again=tuple(again),
        repair=_sound(store, touched) if again else 0,
    )  # fmt: skip


def _sound(store: ModelStore, touched: Collection[int]) -> int:
    """Return the newest generation that is not touched and whose version did not lose the seat; 0 if there is none."""
    barred = store.barred()
    sound = (each.generation for each in store.ledger() if each.version not in barred)
    return max((each for each in sound if each not in touched), default=0)


def _features_of(store: ModelStore, model: Model, source: str, digests: set[str]) -> list[tuple[str, str, str]]:
    """Return the contents of features that were made of some contents of a source: definition, partition, digest."""
    records, inputs = store.records, set[str]()
    for name in records.names(PINS, INPUTS):
        pin = records.get_plain(PINS, name)
        if model.batch_source in pin and any(part["digest"] in digests for part in pin.get(source, ())):
            inputs.add(inputs_of(model, name.removeprefix(INPUTS).rsplit("-", 1)[0], pin).digest)
    found = []
    for name in records.names(PROFILES):
        built = records.get_plain(PROFILES, name)
        if built["inputs"] in inputs:
            definition, _, of = name.partition("/")
            found.append((definition, of.rsplit("-", 1)[0], built["features"]))
    return found


def _with_followers(store: ModelStore, versions: set[str]) -> list[str]:
    """Return versions and those that go on from one of them, and so on."""
    known, found = store.records.all(ModelVersion), set(versions)
    while more := {each.digest for each in known if each.base in found} - found:
        found |= more
    return sorted(found)


def _verdicts(store: ModelStore, keys: Sequence[str], generations: set[int], of_data: set[str]) -> list[str]:
    found = []
    for kind in JUDGED:
        for key in keys:
            for name in store.records.names(kind, f"{key}/"):
                plain = store.records.get_plain(kind, name)
                if key in of_data or plain.get("generation") in generations:
                    found.append(f"{kind}/{name}")
    return found


def _unknown(store: ModelStore, given: str, expected: str) -> ConfigError:
    return ConfigError(
        "nothing on record has this name",
        where=f"{store.blobs.url}: {given}",
        expected=expected,
        found="none",
        next_step=f"incumbent champion show {store.name}",
    )
