"""Where to fit is a pure decision, and hopeless labels are refused with the remedy."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from incumbent.config import Train, load_model
from incumbent.errors import TrainingError, UnavailableError
from incumbent.records import Snapshot
from incumbent.store import ModelStore
from incumbent.train.choose import (
    SMALL_ROWS,
    Group,
    check_ability,
    choose_device,
    choose_group,
    choose_launcher,
    device_of,
)
from incumbent.train.guards import Labels, check_labels
from incumbent.train.stage import plan_training

pytestmark = pytest.mark.unit

MODEL = load_model(Path(__file__).parents[3] / "include" / "models" / "flights_delay").model
REGRESSION = load_model(Path(__file__).parents[3] / "include" / "models" / "flights_airtime").model


@pytest.mark.parametrize(
    ("configured", "gpus", "chosen"),
    [("auto", 0, "cpu"), ("auto", 1, "cuda"), ("cpu", 0, "cpu"), ("cpu", 4, "cpu"), ("cuda", 1, "cuda")],
)
def test_device(configured: str, gpus: int, chosen: str) -> None:
    assert choose_device(configured, gpus) == chosen


def test_a_demanded_gpu_that_is_not_there_is_an_error() -> None:
    with pytest.raises(TrainingError, match=r"set train\.device to auto or cpu"):
        choose_device("cuda", 0)


def test_a_gpu_is_only_chosen_for_an_estimator_that_can_use_it() -> None:
    assert device_of(Train(), 1) == "cuda"
    assert device_of(Train(estimator="lightgbm"), 1) == "cpu"
    assert choose_group(Train(estimator="lightgbm"), 8, 1, 4) == Group(1, 8, 0, "cpu")


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({"workers": 2}, "train.workers"),
        ({"device": "cuda"}, "train.device"),
        ({"external_memory": True}, "train.external_memory"),
    ],
)
def test_what_an_estimator_cannot_do_is_refused_before_a_row_is_read(asked: dict[str, Any], where: str) -> None:
    train = Train.model_validate({"estimator": "lightgbm", **asked})
    with pytest.raises(TrainingError, match="what it cannot do") as caught:
        plan_training(cast(ModelStore, None), MODEL.model_copy(update={"train": train}), cast(Snapshot, None), "r")
    assert caught.value.where.startswith(where)
    check_ability(Train.model_validate(asked))


@pytest.mark.parametrize(
    ("configured", "rows", "chosen"),
    [
        ("auto", SMALL_ROWS - 1, "process"),
        ("auto", SMALL_ROWS, "ray"),
        ("process", SMALL_ROWS, "process"),
        ("ray", 1, "ray"),
    ],
)
def test_launcher(configured: str, rows: int, chosen: str) -> None:
    assert choose_launcher(Train(launcher=configured), rows) == chosen


def test_several_workers_need_ray() -> None:
    assert choose_launcher(Train(workers=2), 1) == "ray"


@pytest.mark.parametrize(
    ("train", "cpus", "gpus", "row_groups", "chosen"),
    [
        ({}, 2, 0, 16, Group(1, 2, 0, "cpu")),
        ({}, 64, 0, 16, Group(1, 64, 0, "cpu")),
        ({}, 64, 4, 16, Group(1, 64, 1, "cuda")),
        ({"device": "cpu"}, 64, 4, 16, Group(1, 64, 0, "cpu")),
        ({"workers": 2}, 2, 0, 16, Group(2, 1, 0, "cpu")),
        ({"workers": 3}, 2, 0, 16, None),
        ({"workers": 3, "min_workers": 2}, 2, 0, 16, Group(2, 1, 0, "cpu")),
        ({"workers": 3, "min_workers": 1, "cpus_per_worker": 2}, 3, 0, 16, Group(1, 2, 0, "cpu")),
        ({"workers": 2, "cpus_per_worker": 4}, 8, 0, 16, Group(2, 4, 0, "cpu")),
        ({"workers": 2, "cpus_per_worker": 4}, 7, 0, 16, None),
        ({"cpus_per_worker": 4, "min_workers": 1}, 3, 0, 16, None),
        ({"workers": 8}, 64, 0, 3, Group(3, 21, 0, "cpu")),
        ({"workers": 8, "device": "cuda"}, 64, 8, 100, Group(8, 8, 1, "cuda")),
        ({"workers": 8, "device": "cuda"}, 64, 4, 100, None),
        ({"workers": 8, "min_workers": 4}, 64, 4, 100, Group(4, 16, 1, "cuda")),
        ({"workers": 2}, 2, 0, 0, Group(1, 2, 0, "cpu")),
    ],
)
def test_group(train: dict[str, object], cpus: int, gpus: int, row_groups: int, chosen: Group | None) -> None:
    if chosen is not None:
        assert choose_group(Train(**train), cpus, gpus, row_groups) == chosen
        return
    with pytest.raises(UnavailableError, match="no room for the workers"):
        choose_group(Train(**train), cpus, gpus, row_groups)


def test_a_group_on_a_cluster_without_the_demanded_gpu_is_refused_for_good() -> None:
    with pytest.raises(TrainingError, match="a GPU is demanded"):
        choose_group(Train(device="cuda", workers=2), 8, 0, 16)


@pytest.mark.parametrize(
    ("labels", "says"),
    [([], "no training rows"), ([1.0, 1.0], "all labels are the same"), ([0.0, 2.0], "not 0 and 1")],
)
def test_hopeless_binary_labels(labels: list[float], says: str) -> None:
    with pytest.raises(TrainingError, match=says) as caught:
        check_labels(MODEL, "2013-01", Labels.of(np.array(labels)))
    assert "flights_delay" in caught.value.where
    assert not caught.value.retryable


def test_each_class_has_to_be_there() -> None:
    classes, labels = ("a", "b", "c", "d"), np.array([3.0, 0.0, 3.0])
    found = Labels.of(labels, classes)
    assert found.missing == ("b", "c")
    model = MODEL.model_copy(update={"task": "multiclass"})
    with pytest.raises(TrainingError, match="a class is not among the training rows") as caught:
        check_labels(model, "2013-01", found)
    assert caught.value.found == "none of b, c in 3 rows"
    check_labels(model, "2013-01", Labels.of(np.arange(4.0), classes))


def test_good_labels_pass_and_a_constant_target_does_not() -> None:
    check_labels(MODEL, "2013-01", Labels.of(np.array([0.0, 1.0])))
    check_labels(REGRESSION, "2013-01", Labels.of(np.array([10.0, 12.5])))
    with pytest.raises(TrainingError, match="all labels are the same"):
        check_labels(REGRESSION, "2013-01", Labels.of(np.array([10.0, 10.0])))
