"""Many workers say of a content what one process says of it, and what fails in one of them comes home."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from small_training import REQUEST, small_model, small_settings, small_tables, store_of
from tests.ray_cluster import Cluster, two_nodes

from incumbent.cluster.failure import check_failure
from incumbent.embedded.settings import Settings
from incumbent.errors import ModelError, StoreError
from incumbent.estimators import predictor
from incumbent.records import ModelVersion, Part
from incumbent.score import ray_rows
from incumbent.score.ray_job import Scorer
from incumbent.score.ray_order import RESULT, Work, read_order, said, say, write_order
from incumbent.score.ray_rows import on_ray
from incumbent.score.rows import Chosen, Scored, from_elsewhere, in_process
from incumbent.store import ModelStore
from incumbent.train.stage import train_candidate

KEY, ROWS = "2020-01", 150_000  # three row groups
MODEL = small_model(rounds=5)
LARGE = 70_000  # in the second row group


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelStore, ModelVersion, Part]:
    """A version, and a content of three row groups with a row that no estimator takes."""
    root = tmp_path_factory.mktemp("store")
    store, snapshot = store_of(root, *small_tables())
    version = store.records.get(
        ModelVersion, train_candidate(store, MODEL, snapshot, REQUEST, small_settings(root)).version
    )
    rows, _ = small_tables(ROWS)
    x = rows["x"].to_numpy().copy()
    x[LARGE] = np.inf
    rows = rows.set_column(rows.column_names.index("x"), "x", pa.array(x))
    return store, version, store.features(version.definition).replace(KEY, rows).part


def whole(scored: Iterator[Scored]) -> tuple[pa.Table, pa.Table]:
    rows, aside = zip(*scored, strict=True)
    return pa.concat_tables(rows).combine_chunks(), pa.concat_tables(aside).combine_chunks()


def here(trained: tuple[ModelStore, ModelVersion, Part], chosen: Chosen | None = None) -> tuple[pa.Table, pa.Table]:
    store, version, part = trained
    return whole(in_process(store.features(version.definition), MODEL, version, part, predictor(store), chosen))


def in_this_process(store: ModelStore, settings: Settings, work: Work) -> list[dict[str, str]]:
    """Stand for a cluster: the same workers, one piece after the other."""
    worker = Scorer(write_order(store, work))
    done = [worker.score(*piece) for piece in work.pieces()]
    for each in done:
        check_failure(each)
    return done


@pytest.mark.unit
def test_workers_give_the_rows_of_one_process(
    trained: tuple[ModelStore, ModelVersion, Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, version, part = trained
    monkeypatch.setattr(ray_rows, "_pieces", in_this_process)
    found = whole(on_ray(store, small_settings(tmp_path), 2, version, part, ["row", "at"]))
    assert found == here(trained)
    assert (found[0].num_rows, found[1]["row"].to_pylist()) == (ROWS - 1, [LARGE])
    assert store.blobs.names("scoring") == [], "what is done leaves nothing"


@pytest.mark.unit
def test_a_share_of_the_rows_is_chosen_by_a_column_that_is_told_for_that(
    trained: tuple[ModelStore, ModelVersion, Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, version, part = trained
    monkeypatch.setattr(ray_rows, "_pieces", in_this_process)

    def elsewhere(version: ModelVersion, part: Part, columns: Sequence[str]) -> Iterator[Scored]:
        return on_ray(store, small_settings(tmp_path), 2, version, part, columns)

    chosen = Chosen(lambda rows: np.asarray(pc.equal(rows["kind"], "a")), ("kind",))
    found = whole(from_elsewhere(elsewhere, MODEL, version, part, chosen))
    assert found == here(trained, chosen)
    assert 0 < found[0].num_rows < ROWS / 2 and "kind" not in found[0].column_names


@pytest.mark.unit
def test_what_a_worker_cannot_do_comes_home_as_the_error_that_it_was(
    trained: tuple[ModelStore, ModelVersion, Part], tmp_path: Path
) -> None:
    store, version, part = trained
    gone = Work(version.digest, version.definition, KEY, "f" * 64, ROWS, ("row", "at"), 2)
    with pytest.raises(StoreError, match="data file is missing"):
        in_this_process(store, small_settings(tmp_path), gone)
    work = replace(gone, features=part.digest)
    command = write_order(store, work)
    say(work.place(store), "order.json", {"incumbent": "0.0.0"})
    with pytest.raises(ModelError, match="another release of Incumbent"):
        read_order(command, tmp_path)
    work.place(store).remove("order.json")
    with pytest.raises(ModelError, match="the order of a scoring is gone"):
        check_failure(Scorer(command).score(0, 1))


@pytest.mark.unit
def test_pieces_are_all_row_groups_once() -> None:
    for rows, workers in ((1, 3), (65_536, 1), (10_000_000, 2), (100_000_000, 16)):
        pieces = Work("v", "d", KEY, "f", rows, (), workers).pieces()
        assert [group for first, until in pieces for group in range(first, until)] == list(range(-(-rows // 65_536)))
        assert len(pieces) <= workers * 5 or rows < 1_000_000


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with two_nodes() as running:
        yield running


@pytest.mark.ray
@pytest.mark.slow
def test_two_nodes_score_it_and_a_job_that_is_there_is_found(
    trained: tuple[ModelStore, ModelVersion, Part], tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    store, version, part = trained
    settings = small_settings(tmp_path, INCUMBENT_RAY_ADDRESS=cluster.address)
    scored = on_ray(store, settings, 2, version, part, ["row", "at"])
    first = next(scored)
    work = Work(version.digest, version.definition, KEY, part.digest, ROWS, ("row", "at"), 2)
    assert len((said(work.place(store), RESULT) or {})["pieces"]) == 3
    assert whole(on_ray(store, settings, 2, version, part, ["row", "at"])) == here(trained), "without another job"
    del first, scored
    altered = replace(part, digest="0" * 64)
    with pytest.raises(StoreError, match="data file is missing"):
        next(on_ray(store, settings, 2, version, altered, ["row", "at"]))
