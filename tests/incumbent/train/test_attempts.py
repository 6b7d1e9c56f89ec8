"""Which Ray job is followed and which is submitted, and labels that stop a training."""

from __future__ import annotations

import numpy as np
import pytest
from small_training import small_model

from incumbent.cluster.jobs import ATTEMPTS, next_attempt
from incumbent.errors import TrainingError
from incumbent.train.guards import Labels, check_labels

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("task", "labels"), [("binary", [0.0, 1.0, np.nan]), ("regression", [1.0, np.inf, 2.0])])
def test_labels_that_are_not_finite_are_refused(task: str, labels: list[float]) -> None:
    model = small_model().model_copy(update={"task": task})
    with pytest.raises(TrainingError, match="not finite") as caught:
        check_labels(model, "2020-01", Labels.of(np.array(labels)))
    assert caught.value.found == "1 of 3 are NaN or infinite"


@pytest.mark.parametrize(
    ("states", "done", "attempt", "submit"),
    [
        ({}, False, 1, True),
        ({1: "PENDING"}, False, 1, False),
        ({1: "RUNNING"}, False, 1, False),
        ({1: "SUCCEEDED"}, True, 1, False),
        ({1: "SUCCEEDED"}, False, 2, True),
        ({1: "SUCCEEDED", 2: "RUNNING"}, False, 2, False),
        ({1: "FAILED"}, False, 2, True),
        ({1: "FAILED", 2: "STOPPED"}, False, 3, True),
        ({1: "STOPPED", 2: "STOPPED", 3: "STOPPED"}, False, 4, True),
        ({1: "FAILED", 2: "FAILED", 3: "FAILED"}, False, 3, False),
        ({1: "SUCCEEDED", 2: "SUCCEEDED", 3: "SUCCEEDED"}, False, 4, True),
    ],
)
def test_a_job_is_followed_when_it_runs_and_submitted_when_its_result_is_missing(
    states: dict[int, str], done: bool, attempt: int, submit: bool
) -> None:
    assert ATTEMPTS == 3
    assert next_attempt(states, done) == (attempt, submit)
