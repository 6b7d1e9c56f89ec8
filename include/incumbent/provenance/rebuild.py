"""A past version fitted again from its record alone, and compared with the file that is stored.

Nothing of it is a version, a request or an entry of the ledger; only what came of it is written down.

Long because each way in which a version cannot be fitted again has a sentence of its own.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import incumbent
from incumbent.config import Model
from incumbent.embedded.settings import Settings
from incumbent.errors import ConfigError, ModelError, StoreError, TrainingError
from incumbent.estimators import estimator
from incumbent.estimators.abilities import ABILITIES
from incumbent.features.out_of_core import snapshot_files
from incumbent.features.rows import feature_rows
from incumbent.functions import Functions
from incumbent.partitions import end_of
from incumbent.provenance.recompute import TOLERANCE
from incumbent.records import ModelVersion, Part, Promotion, Rebuild, Snapshot, Training, digest_of
from incumbent.snapshot.show import VERIFIED, files
from incumbent.store import ModelStore, generation_name
from incumbent.store.removals import ERASURE, RETENTION
from incumbent.train.choose import count_gpus
from incumbent.train.order import work_of
from incumbent.train.progress import Progress
from incumbent.train.provenance import packages
from incumbent.train.warm import NOT_CHOSEN, recalibrating_model
from incumbent.train.work import CHOOSING, Place, Work

SAME_FILE, SAME_PREDICTIONS, DIFFERS, IMPOSSIBLE = "same file", "same predictions", "differs", "cannot be rebuilt"
ASSUMED = "an earlier release fitted it, and what its record does not say is as model.yaml says it today"
SHOWN = 8  # packages that differ
Tell = Callable[[Progress], None]


@dataclass(frozen=True)
class Made:
    """What fitting again gave.

    Attributes:
        file: The model file.
        rounds, rows: Rounds in it, and rows that it has learned from.
        features, categories: Its encoding.
    """

    file: bytes
    rounds: int
    rows: int
    features: Sequence[str]
    categories: Mapping[str, Sequence[str]]


def rebuild(store: ModelStore, model: Model, version: ModelVersion, settings: Settings, tell: Tell) -> Rebuild:
    """Fit a version again from its record, compare, and write down what came of it.

    Args:
        store: The model's store.
        model: Its configuration today: for what the record of an early version does not say.
        version: The version.
        settings: Where a local Ray head is, or an existing cluster answers, for one that was fitted on Ray.
        tell: Told how far it is.

    Raises:
        StoreError: A file that it rests on is missing or altered.
        UnavailableError: Ray, or room on a disk, is missing.
    """
    code = _code_now(version)
    blank = Rebuild(version.digest, IMPOSSIBLE, code=code, changed=_changed(store, version))
    if missing := tuple(_missing(store, version)):
        return replace(blank, missing=missing)
    training = next(each for each in store.records.all(Training) if each.version == version.digest)
    try:
        work = replace(_work(store, model, version, training), proof=digest_of(code))
        made = _on_ray(store, work, settings, tell) if training.launcher == "ray" else _here(store, work, tell)
    except (TrainingError, ConfigError) as error:
        said = f"the training fails now: {error.what}: {error.found}"
        if version.params.get("device") == "cuda":
            return replace(blank, missing=(said,))
        return replace(blank, verdict=DIFFERS, differs=(said,))
    return _recorded(store, _compared(store, version, training, work, made, blank))


def drawn(store: ModelStore, key: str, before: datetime) -> int | None:
    """Return a generation that is no longer champion, drawn by a key; None if there is none.

    The same key draws the same one, whatever was promoted since.

    Args:
        store: The model's store.
        key: Names the draw.
        before: Moment, in UTC: later entries of the ledger do not count.
    """
    written = store.records.written
    there = [
        entry for entry in store.ledger()
        if written(Promotion.kind, generation_name(entry.generation)) < before
    ]  # fmt: skip
    old = {entry.version: entry.generation for entry in there if entry.version != there[-1].version}
    generations = sorted(old.values())
    return generations[int(digest_of([key]), 16) % len(generations)] if generations else None


def libraries(found: Rebuild) -> str:
    """Return what is installed in another version than when a version was fitted, for people.

    >>> libraries(Rebuild("v", SAME_FILE, changed={"numpy": ("2.1.0", "2.2.0"), "old": ("1.0", "")}))
    'libraries differ: numpy 2.1.0 -> 2.2.0, old 1.0 -> none'
    """
    changed = [f"{name} {then or 'none'} -> {now or 'none'}" for name, (then, now) in found.changed.items()]
    more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
    return f"libraries differ: {', '.join(changed[:SHOWN])}{more}"


def _recorded(store: ModelStore, found: Rebuild) -> Rebuild:
    # Of two attempts with the same code the first stands: a GPU gives other last digits each time.
    store.records.claim(Rebuild.kind, f"{found.version}/{digest_of(found.code)}", found.to_json())
    return found


def _missing(store: ModelStore, version: ModelVersion) -> Iterator[str]:
    """Yield what is missing for fitting again that is nobody's fault; what is missing otherwise is raised."""
    library = ABILITIES[version.estimator].library
    if not _installed(library):
        yield f"{library} is not installed"
    if version.params.get("device") == "cuda" and not count_gpus():
        yield "there is no GPU here, and it was fitted on one"
    if not version.snapshot:
        yield "it has no training set: it was adopted, not fitted here"
        return
    if all(each.version != version.digest for each in store.records.all(Training)):
        yield "no record says how it was fitted"
    for file in files(store, store.records.get(Snapshot, version.snapshot)):
        if file.state in (RETENTION, ERASURE):
            yield f"{file.role} of {file.partition} ({file.digest[:16]}) were taken away by {file.state}"
        elif file.state != VERIFIED:
            raise StoreError(
                "a content of the training set is not what it was",
                where=f"{store.blobs.url}, {file.role} of {file.partition}",
                expected=f"the file with the digest {file.digest[:16]}",
                found=file.state,
                next_step="restore it from a backup; run `incumbent store check`",
            )


def _work(store: ModelStore, model: Model, version: ModelVersion, training: Training) -> Work:
    """Return the work that gave a version, to be fitted on the same device by as many workers with as many threads."""
    if version.order:
        work = work_of(store, json.loads(store.objects.get(version.order)))
    else:
        work = _assumed(store, model, version)
    threads = re.search(r"of (\d+) thread", training.layout)
    where: dict[str, Any] = {"cpus_per_worker": int(threads[1])} if threads else {}
    where |= {"device": version.params.get("device", "cpu"), "workers": training.workers, "min_workers": None}
    fitted = work.model.model_copy(update={"train": work.model.train.model_copy(update=where)})
    if version.script:
        fitted = fitted.with_script(store.objects.get(version.script).decode())
    return replace(work, model=fitted, workers=training.workers)


def _assumed(store: ModelStore, model: Model, version: ModelVersion) -> Work:
    """Return the work of a version whose order was not kept: of its record, and of model.yaml for the rest."""
    params = {name: value for name, value in version.params.items() if name not in NOT_CHOSEN}
    train = {"estimator": version.estimator, "params": params, "seed": version.params["seed"], "search": None}
    if version.base or model.train.early_stopping is None or version.params.get("searched"):
        train |= {"rounds": version.rounds, "early_stopping": None}
    model = model.model_copy(update={"train": model.train.model_copy(update=train), "task": version.task})
    if version.recalibrated:
        model = recalibrating_model(model, store.records.get(ModelVersion, version.base))
    text = store.objects.get(version.functions).decode() if version.functions else ""
    snapshot = store.records.get(Snapshot, version.snapshot)
    return Work(model.with_functions(Functions.of(text)), snapshot, base=version.base, since=version.since)


def _here(store: ModelStore, work: Work, tell: Tell) -> Made:
    """Fit in this process; not a checkpoint of it is kept, and the file is not stored."""
    train = work.model.train
    place = Place(device=train.device, threads=train.cpus_per_worker or os.cpu_count() or 1)
    with snapshot_files(store, work.snapshot) as paths:
        tell(Progress(0, train.rounds, 0, phase=CHOOSING))
        prepared = work.prepare(store, paths)
        fitted = work.fit(paths, prepared, place, work.beginning(store, place), lambda state, model: None, tell)
    encoder = prepared.encoder
    file = estimator(train.estimator).save(fitted.model, encoder, work.snapshot.definition, work.snapshot.id)
    return Made(file, fitted.rounds, prepared.rows.count, encoder.features, encoder.categories)


def _on_ray(store: ModelStore, work: Work, settings: Settings, tell: Tell) -> Made:
    """Fit as a job of its own: several workers sum in another order than one, and its rows may need their memory."""
    from incumbent.train.ray_job import run_on_ray

    outcome = run_on_ray(store, work, settings, tell)
    work.checkpoints(store).clear()
    file = store.objects.get(outcome.version)
    return Made(file, outcome.rounds, outcome.rows, outcome.features, outcome.categories)


def _compared(
    store: ModelStore, version: ModelVersion, training: Training, work: Work, made: Made, blank: Rebuild
) -> Rebuild:
    digest = digest_of(made.file)
    differs = list(_differing(version, work, made))
    if digest == version.digest:
        verdict = DIFFERS if differs else SAME_FILE
        return replace(blank, verdict=verdict, rebuilt=digest, differs=tuple(differs), largest=0.0)
    rows = _gate_rows(store, work)
    largest = _largest(store, version, made, rows)
    if largest is None or largest > TOLERANCE:
        by = "cannot be compared" if largest is None else f"differ by up to {largest:.3g}"
        differs.append(f"predictions of {rows.num_rows} rows of its gate days {by}")
    elif _has_one_file(version, training) and not blank.changed:
        differs.append("the model file, which the same code makes byte for byte, but no prediction by more than 1e-6")
    if differs and not version.order:
        differs.insert(0, ASSUMED)
    verdict = DIFFERS if differs else SAME_PREDICTIONS
    return replace(blank, verdict=verdict, rebuilt=digest, differs=tuple(differs), rows=rows.num_rows, largest=largest)


def _has_one_file(version: ModelVersion, training: Training) -> bool:
    """Return whether the same code makes the same bytes; a script and a GPU promise nothing."""
    on_cpu = version.params.get("device", "cpu") == "cpu"
    return ABILITIES[version.estimator].rounds and on_cpu and training.exact_resume


def _differing(version: ModelVersion, work: Work, made: Made) -> Iterator[str]:
    """Yield in what the record of a version is not what was fitted again."""
    said = {name: value for name, value in version.params.items() if name not in NOT_CHOSEN}
    asked = dict(work.model.train.params)
    if said != asked and not version.recalibrated:  # whose record has those of its trees
        names = sorted(name for name in {*said, *asked} if said.get(name) != asked.get(name))
        yield f"parameters: the record says another {', '.join(names)} than the order that it was fitted by"
    pairs = {
        "training rows": (version.train_rows, made.rows),
        "features": (list(version.features), list(made.features)),
        "levels of text features": (
            {name: list(levels) for name, levels in version.categories.items()},
            {name: list(levels) for name, levels in made.categories.items()},
        ),
        "rounds": (version.rounds, made.rounds),
    }
    for name, (then, now) in pairs.items():
        if then != now:
            numbers = f": {then} in the record, {now} now" if isinstance(then, int) else ""
            yield f"{name}{numbers}"


def _gate_rows(store: ModelStore, work: Work) -> pa.Table:
    """Return the feature rows of the snapshot's gate days."""
    model, snapshot = work.model, work.snapshot
    zone = ZoneInfo(model.timezone)
    since, until = (
        datetime.fromisoformat(day).replace(tzinfo=zone) for day in (snapshot.gate_from, snapshot.gate_until)
    )
    parts = [Part(**part) for part in snapshot.features]
    parts = [part for part in parts if end_of(part.partition, model.grain).date() > since.date()]
    rows = feature_rows(store, snapshot.definition, parts)
    time = rows[model.time]
    since, until = (pa.scalar(day, time.type) for day in (since, until))
    return rows.filter(pc.and_(pc.greater_equal(time, since), pc.less(time, until)))


def _largest(store: ModelStore, version: ModelVersion, made: Made, rows: pa.Table) -> float | None:
    """Return the largest difference between two predictions of a row; None without rows, or where one is no number."""
    if not rows.num_rows:
        return None
    kind = estimator(version.estimator)
    levels = {name: tuple(found) for name, found in made.categories.items()}
    other = replace(version, digest=digest_of(made.file), features=tuple(made.features), categories=levels)
    both = [(version, store.objects.get(version.digest)), (other, made.file)]
    try:
        then, now = (kind.predict(kind.load(file, each), each, rows) for each, file in both)
    except ModelError:  # the record says another encoding than the file
        return None
    found = float(np.max(np.abs(then - now)))
    return found if np.isfinite(found) else None


def _code_now(version: ModelVersion) -> dict[str, str]:
    library = ABILITIES[version.estimator].library
    return {
        "incumbent": incumbent.__version__,
        "python": platform.python_version(),
        library: _installed(library),
        "duckdb": _installed("duckdb"),
        "packages": digest_of(packages()),
    }


def _changed(store: ModelStore, version: ModelVersion) -> dict[str, tuple[str, str]]:
    """Return what is installed in another version than when a version was fitted."""
    names = ("incumbent", "python", "duckdb", ABILITIES[version.estimator].library)
    then, now = ({name: each.get(name, "") for name in names} for each in (version.code, _code_now(version)))
    if listed := version.code.get("packages", ""):
        then = {**_versions(store.objects.get(listed)), **then}
        now = {**_versions(packages()), **now}
    return {
        name: (then.get(name, ""), now.get(name, ""))
        for name in sorted({*then, *now}) if then.get(name, "") != now.get(name, "")
    }  # fmt: skip


def _versions(listed: bytes) -> dict[str, str]:
    return dict(line.split("==", 1) for line in listed.decode().splitlines())


def _installed(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ""
