"""The unit of work that a training is: named by its inputs, the same in any process and in any group of them."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from incumbent.config import Model
from incumbent.estimators.abilities import ABILITIES
from incumbent.estimators.bins import DEFAULT_BINS, learn_bins
from incumbent.estimators.encoding import Encoder, Matrix
from incumbent.estimators.rounds import Given, Rounds
from incumbent.estimators.shards import Shard
from incumbent.features.out_of_core import snapshot_files
from incumbent.functions import FILE
from incumbent.records import Search, Snapshot, digest_of
from incumbent.search_space import laid_over
from incumbent.store import ModelStore
from incumbent.train.checkpoints import Checkpoint, Checkpoints, State
from incumbent.train.choose import count_gpus, device_of
from incumbent.train.fit import Fitted, Plan, fit
from incumbent.train.flat import Flat, check_flat, flat_features
from incumbent.train.guards import Labels, check_count, check_labels, check_rows
from incumbent.train.outcome import Outcome
from incumbent.train.progress import Progress
from incumbent.train.provenance import hardware
from incumbent.train.rows import TrainingRows, choose_rows
from incumbent.train.warm import Base

CHOOSING = "choosing the rows: those old enough that have a label"

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """What is the same for all workers of a fit.

    Attributes:
        rows: Which rows of which file.
        encoder: Features and vocabulary.
        bins: Cuts of each feature; None for an estimator that finds them itself.
        class_weight: What a row of class 1 weighs.
        row_groups: Row groups that have rows to learn from.
        flat: Features that say nothing.
    """

    rows: TrainingRows
    encoder: Encoder
    bins: Matrix | None
    class_weight: float
    row_groups: int
    flat: Flat


@dataclass(frozen=True)
class Place:
    """Where one worker fits.

    Attributes:
        rank, world: Which worker of how many.
        device: `cpu` or `cuda`.
        threads: Threads of each.
        attempt: Which attempt of its job this is.
    """

    rank: int = 0
    world: int = 1
    device: str = "cpu"
    threads: int = 1
    attempt: int = 1

    @property
    def layout(self) -> str:
        """What sums of floats depend on."""
        workers = "1 worker" if self.world == 1 else f"{self.world} workers"
        return f"{self.device}, {workers} of {self.threads} thread{'s' if self.threads > 1 else ''}"


@dataclass(frozen=True)
class Work:
    """What is to be fitted.

    Attributes:
        model: The model's configuration.
        snapshot: The training set.
        workers: Workers that are to share the rows.
        prior: Parameters of the champion, which a search tries first; empty without one.
        base: Version that the fit goes on from; empty if it begins from nothing.
        since: First local day of the rows; empty for all of the snapshot's.
        proof: Code that a past version is fitted again with, which goes on from no checkpoint of it; else empty.
    """

    model: Model
    snapshot: Snapshot
    workers: int = 1
    prior: Mapping[str, Any] = field(default_factory=dict)
    base: str = ""
    since: str = ""
    proof: str = ""

    @property
    def id(self) -> str:
        """Digest of everything that decides the outcome; a cleared task finds its own fit again."""
        train = self.model.train
        stops: list[Any] = (
            [train.early_stopping, train.validation_days, self.model.embargo_days] if train.early_stopping else []
        )
        if train.search is not None:
            searched = train.search.model_dump(mode="json")
            stops = [searched, self.prior, train.validation_days, self.model.embargo_days]
        decided = [train.estimator, train.params, train.rounds, train.seed, train.weight, train.balance, stops]
        script = [digest_of(self.model.script.encode())] if train.script else []
        functions = [{FILE: digest_of(self.functions.encode())}] if self.functions else []
        begin = [self.base, self.since] if self.base or self.since else []
        more = [*script, *functions, *begin, *([{"proof": self.proof}] if self.proof else [])]
        return digest_of([self.snapshot.id, self.model.task, train.device, self.workers, decided, *more])

    @property
    def functions(self) -> str:
        """Text of `model.py` if a function of it has a part in the fit, which has the features already; else empty."""
        train, found = self.model.train, self.model.functions
        is_split = "split" in found and (train.early_stopping is not None or train.search is not None)
        return found.text if is_split or found.defined & {"metric", "objective"} else ""

    def checkpoints(self, store: ModelStore) -> Checkpoints:
        """Return the fit's checkpoints."""
        return Checkpoints(store.blobs, self.id)

    def after(self, found: Search) -> Work:
        """Return the fit of all rows, the validation rows among them, with what a search has chosen.

        Its rounds are taken as found. Scaled by the rows they were no better, on rows that nobody had seen:
        `make bench ONLY=search`.
        """
        train = self.model.train
        params = laid_over(train.estimator, train.params, found.params)
        train = train.model_copy(update={"params": params, "rounds": found.rounds, "search": None})
        return replace(self, model=self.model.model_copy(update={"train": train}), prior={})

    def run(self, store: ModelStore, tell: Callable[[Progress], None]) -> Outcome:
        """Read the rows, verified by digest, fit them in this process, and store the model; after a search, if any."""
        if self.model.train.search is not None:
            from incumbent.train.search import search_here  # it searches variants of a work

            found = search_here(store, self, tell)
            return replace(self.after(found).run(store, tell), search=found.id)
        began, train = time.monotonic(), self.model.train
        threads = train.cpus_per_worker or os.cpu_count() or 1
        place = Place(device=device_of(train, count_gpus()), threads=threads)
        with snapshot_files(store, self.snapshot) as files:
            tell(Progress(0, train.rounds, 0, phase=CHOOSING))
            prepared = self.prepare(store, files)
            read = time.monotonic() - began
            checkpoints = self.checkpoints(store)
            start = checkpoints.newest() or self.beginning(store, place)
            fitted = self.fit(files, prepared, place, start, checkpoints.write, tell)
        return self.finish(store, prepared, fitted, place, {"read": read, "all": time.monotonic() - began})

    def beginning(self, store: ModelStore, place: Place) -> Checkpoint | None:
        """Return what the first attempt goes on from; None if it begins from nothing."""
        return Base.of(store, self.base).beginning(place.layout) if self.base else None

    def prepare(self, store: ModelStore, files: Sequence[Path]) -> Prepared:
        """Choose the rows and learn the vocabulary, and refuse what nothing can be learned from."""
        base = Base.of(store, self.base) if self.base else None
        rows = choose_rows(store, self.model, self.snapshot, files, self.since)
        labels = rows.labels()
        classes = self.snapshot.classes
        chosen = self.snapshot.partition + (f", since {self.since}" if self.since else "")
        check_count(self.model, chosen, len(labels))
        check_labels(self.model, chosen, Labels.of(labels, classes))
        check_rows(self.model, self.snapshot, rows)
        encoder = base.encoder if base else replace(rows.learn_encoder(files), classes=classes)
        flat = flat_features(files, rows.train, encoder)
        check_flat(flat, encoder.features, f"model {self.model.name}, training rows up to {chosen}")
        for line in flat.lines():
            LOG.warning("%s", line)
        bins, wanted = None, self.model.train.params.get("max_bin", DEFAULT_BINS)
        if ABILITIES[self.model.train.estimator].workers:
            bins = learn_bins(files, rows.train, encoder, wanted, base.thresholds() if base else None)
        groups = Shard(files, rows.train, encoder).groups
        return Prepared(rows, encoder, bins, self._class_weight(rows, labels), groups, flat)

    def fit(
        self,
        files: Sequence[Path],
        prepared: Prepared,
        place: Place,
        start: Checkpoint | None,
        keep: Callable[[State, bytes], None],
        tell: Callable[[Progress], None] = lambda progress: None,
    ) -> Fitted:
        """Fit one worker's share; only the first worker keeps checkpoints, and tells.

        Each worker has all validation rows: a score such as AUC of parts is not the score of the whole.
        """
        train, count = self.model.train, prepared.rows.count
        if place.rank == 0:
            tell(Progress(0, train.rounds, count, phase=f"reading {count:,} rows"))
        with self.rounds(files, prepared, place, start) as rounds:
            wanted = train.rounds if ABILITIES[train.estimator].rounds else 1
            plan = Plan(
                wanted, train.early_stopping, train.checkpoint_every, train.checkpoint_seconds,
                place.layout, count, place.world, place.attempt,
            )  # fmt: skip
            if place.rank == 0:
                return fit(rounds, plan, start, keep, tell)
            return fit(rounds, plan, start, lambda state, model: None)

    @contextmanager
    def rounds(
        self, files: Sequence[Path], prepared: Prepared, place: Place, start: Checkpoint | None
    ) -> Iterator[Rounds]:
        """Give a worker's share to its estimator, and what that makes of it until the end."""
        from incumbent.estimators import estimator

        train, rows = self.model.train, prepared.rows
        share = Shard(files, rows.train, prepared.encoder, place.rank, place.world)
        held = Shard(files, rows.validation, prepared.encoder) if rows.validation else None
        with tempfile.TemporaryDirectory(prefix="incumbent-binned-") as scratch:
            external = Path(scratch) if train.external_memory else None
            given = Given(
                self.model.task, train.params, train.seed, place.device, place.threads, prepared.bins,
                prepared.class_weight, external, self.model.script, train.script_hours * 3600, self.model.functions,
            )  # fmt: skip
            yield estimator(train.estimator).fit(given, share, held, None if start is None else start.model)

    def finish(
        self, store: ModelStore, prepared: Prepared, fitted: Fitted, place: Place, seconds: Mapping[str, float]
    ) -> Outcome:
        """Seal the model, put it into the store, and return what there is to say about it."""
        from incumbent.estimators import estimator

        kind, encoder = estimator(self.model.train.estimator), prepared.encoder
        sealed = kind.save(fitted.model, encoder, self.snapshot.definition, self.snapshot.id)
        return Outcome(
            version=store.objects.put(sealed),
            size=len(sealed),
            rounds=fitted.rounds,
            rows=prepared.rows.count,
            features=encoder.features,
            categories=dict(encoder.categories),
            importance=fitted.importance,
            checkpoints=fitted.state.written,
            resumed_from=fitted.resumed_from,
            exact=fitted.state.exact and place.device == "cpu",  # nobody has measured it on CUDA
            device=place.device,
            workers=place.world,
            layout=fitted.state.layout,
            metric=fitted.metric,
            cores=place.world * place.threads,
            scores={"train": dict(fitted.state.train), "validation": list(fitted.state.validation)},
            seconds={**seconds, "fit": fitted.seconds},
            hardware=hardware(place.device),
            warnings=prepared.flat.lines(),
        )

    def _class_weight(self, rows: TrainingRows, labels: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        if not self.model.train.balance:
            return 1.0
        weights = [np.ones(len(each.labels)) if each.weights is None else each.weights for each in rows.train]
        weight = np.concatenate(weights).astype(np.float64)
        return float(weight[labels == 0].sum() / weight[labels == 1].sum())
