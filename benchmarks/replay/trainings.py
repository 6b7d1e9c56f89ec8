"""Fits of the folder's model on the rows that a training would see, each made once and kept below the bench home."""

from __future__ import annotations

import importlib.metadata
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.replay.world import Places, World
from incumbent.config import Model
from incumbent.errors import ConfigError
from incumbent.estimators import estimator
from incumbent.estimators.abilities import ABILITIES
from incumbent.estimators.bins import DEFAULT_BINS, learn_bins
from incumbent.estimators.encoding import Encoder
from incumbent.estimators.rounds import Given
from incumbent.estimators.shards import Chosen, Shard
from incumbent.records import ModelVersion, digest_of
from incumbent.train.fit import Fitted, Plan, fit
from incumbent.train.rows import TrainingRows
from incumbent.train.warm import Base, recalibrating_model

THREADS = 2
NOT_REPLAYED = ("weight", "balance", "early_stopping", "search", "warm_rounds", "script")


@dataclass(frozen=True)
class Version:
    """A fitted model with what it says of every row of the history.

    Attributes:
        digest: Of its rows and parameters.
        scores: Predictions in file order, shape (n_rows,) or (n_rows, n_classes).
        importance: Feature to its share of the gain.
        train_rows: Rows it has learned from.
        train_until: First local day that it has not seen (ISO date).
        core_s: Processor seconds of the fit, when it was made.
        manifest: What a store would say of it.
        splits: Feature to where the trees split it, and what each split has gained.
    """

    digest: str
    scores: npt.NDArray[np.float64]
    importance: Mapping[str, float]
    train_rows: int
    train_until: str
    core_s: float
    manifest: ModelVersion
    splits: Mapping[str, Sequence[tuple[float, float]]]


class Trainings:
    """Fits in a world, by the days that are learned from.

    Args:
        world: The rows.
        cache: Folder of fits made before.
        rounds: Other than the folder's, where only a quick look is wanted.
    """

    def __init__(self, world: World, cache: Path, rounds: int | None = None) -> None:
        self.world, self.cache = world, cache / "fits-2"
        train = world.model.train
        if unlike := [name for name in NOT_REPLAYED if getattr(train, name) not in (None, False)]:
            raise ConfigError(
                "a replay does not know a way of training",
                where=f"model {world.model.name}: train.{unlike[0]}",
                expected="a fit of so many rounds with fixed parameters",
                found=f"train.{unlike[0]}",
                next_step="replay a copy of the folder without it",
            )
        self.train = train if rounds is None else train.model_copy(update={"rounds": rounds})

    def fit(self, until: date, since: date | None = None) -> Version:
        """Return the model of all labelled rows of some days."""
        return self._version(until, since, None)

    def recalibrate(self, base: Version, until: date, since: date) -> Version:
        """Return a version with the intercept of the labelled rows of some days."""
        return self._version(until, since, base)

    def _version(self, until: date, since: date | None, base: Version | None) -> Version:
        places = self.world.labelled(self.world.between(since, until))
        labels = self.world.labels[places]
        train, history = self.train, self.world.history
        library = ABILITIES[train.estimator].library
        said = [train.estimator, train.params, train.rounds, train.seed, importlib.metadata.version(library)]
        given = [digest_of(each.tobytes()) for each in (places.astype(np.int32), labels)]
        digest = digest_of([history.digest, self.world.model.task, said, given, *([base.digest] if base else [])])
        stem = self._stem(digest)
        if not stem.with_suffix(".json").exists():
            self._make(stem, places, digest, base)
        plain = json.loads(stem.with_suffix(".json").read_text())
        scores = np.load(stem.with_suffix(".npy")).astype(np.float64)
        manifest = replace(
            ModelVersion.from_json(plain["manifest"]), digest=digest, train_until=until.isoformat(),
            base=base.manifest.trees if base else "", recalibrated=base is not None,
            since=since.isoformat() if since else "",
        )  # fmt: skip
        return Version(
            digest, scores, manifest.importance, len(places), until.isoformat(), plain["core_s"], manifest,
            plain["splits"],
        )  # fmt: skip

    def _stem(self, digest: str) -> Path:
        return self.cache / digest[:2] / digest[2:20]

    def _make(self, stem: Path, places: Places, digest: str, base: Version | None) -> None:
        world, kind, began = self.world, estimator(self.train.estimator), time.process_time()
        files = [world.history.file]
        chosen = Chosen(0, places.astype(np.int32), world.labels[places], None)
        rows = TrainingRows((chosen,), (), world.history.features)
        start = None if base is None else Base(base.manifest, self._stem(base.digest).with_suffix(".bin").read_bytes())
        encoder = start.encoder if start else replace(rows.learn_encoder(files), classes=world.model.label.classes)
        fitted = self._fitted(files, chosen, encoder, start)
        core_s = time.process_time() - began
        file = kind.save(fitted.model, encoder, digest, "")
        version = _manifest(world.model, encoder, fitted, digest_of(file), digest)
        loaded = kind.load(file, version)
        scores = kind.predict(loaded, version, world.features)
        stem.parent.mkdir(parents=True, exist_ok=True)
        stem.with_suffix(".bin").write_bytes(file)
        np.save(stem.with_suffix(".npy"), scores.astype(np.float32))
        plain = {"manifest": version.to_json(), "splits": kind.splits(loaded, version), "core_s": core_s}
        stem.with_suffix(".tmp").write_text(json.dumps(plain))
        stem.with_suffix(".tmp").replace(stem.with_suffix(".json"))  # last: only a whole fit is found

    def _fitted(self, files: list[Path], chosen: Chosen, encoder: Encoder, base: Base | None) -> Fitted:
        model = self.world.model.model_copy(update={"train": self.train})
        train = (recalibrating_model(model, base.version) if base else model).train
        most = train.params.get("max_bin", DEFAULT_BINS)
        kept = base.thresholds() if base else None
        bins = learn_bins(files, [chosen], encoder, most, kept) if ABILITIES[train.estimator].workers else None
        given = Given(model.task, train.params, train.seed, "cpu", THREADS, bins, functions=model.functions)
        start = base.beginning("replay") if base else None
        rounds = estimator(train.estimator).fit(
            given, Shard(files, [chosen], encoder), None, base.model if base else None
        )
        plan = Plan(train.rounds, None, train.rounds, float("inf"), "replay", len(chosen.positions))
        return fit(rounds, plan, start, lambda state, checkpoint: None)


def _manifest(model: Model, encoder: Encoder, fitted: Fitted, digest: str, definition: str) -> ModelVersion:
    return ModelVersion(
        digest, model.name, model.train.estimator, model.task, definition, "", encoder.features, encoder.categories, {},
        fitted.rounds, 0, "", fitted.importance, classes=encoder.classes,
    )  # fmt: skip
