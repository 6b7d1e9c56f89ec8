"""Where to fit is a pure decision, and hopeless labels are refused with the remedy."""

from pathlib import Path

import numpy as np
import pytest

from incumbent.config import Train, load_model
from incumbent.errors import TrainingError
from incumbent.train.choose import SMALL_ROWS, choose_device, choose_launcher
from incumbent.train.guards import check_labels

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


@pytest.mark.parametrize(
    ("labels", "says"),
    [([], "no training rows"), ([1.0, 1.0], "all labels are the same"), ([0.0, 2.0], "not 0 and 1")],
)
def test_hopeless_binary_labels(labels: list[float], says: str) -> None:
    with pytest.raises(TrainingError, match=says) as caught:
        check_labels(MODEL, "2013-01", np.array(labels))
    assert "flights_delay" in caught.value.where
    assert not caught.value.retryable


def test_good_labels_pass_and_a_constant_target_does_not() -> None:
    check_labels(MODEL, "2013-01", np.array([0.0, 1.0]))
    check_labels(REGRESSION, "2013-01", np.array([10.0, 12.5]))
    with pytest.raises(TrainingError, match="all labels are the same"):
        check_labels(REGRESSION, "2013-01", np.array([10.0, 10.0]))
