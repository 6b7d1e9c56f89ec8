"""A challenger from shadow asks for the seat once, and only with rows enough for the gates that it then meets."""

from typing import Any

import numpy as np
import pytest

from incumbent.config import Gates
from incumbent.evaluate.kept import is_proven
from incumbent.monitor.shadow import CHALLENGER, shadow_verdict
from incumbent.stats import Evidence

pytestmark = pytest.mark.unit

STRONG = Evidence(5000.0, (3.0, 3.0), 0.01, 0.002, 4000.0, 0)


def verdict(task: str, labels: np.ndarray) -> dict[str, Any]:
    scores = np.linspace(0, 1, len(labels)) + 0.1 * labels, np.linspace(0, 1, len(labels))
    return vars(shadow_verdict("2020-01", 1, ("a", "b"), CHALLENGER, task, {}, labels, scores, None))


def test_a_verdict_says_how_many_rows_of_the_rarer_class_it_had() -> None:
    labels = np.zeros(2000)
    labels[::11] = 1.0
    assert verdict("binary", labels)["rarer"] == 182
    assert verdict("binary", 1 - labels)["rarer"] == 182
    assert verdict("regression", labels)["rarer"] == 2000


def test_evidence_waits_for_rows_that_the_other_gates_need() -> None:
    limits = Gates(min_positives=200)
    assert not is_proven(STRONG, 1000.0, [{"rarer": 182}], limits)
    assert is_proven(STRONG, 1000.0, [{"rarer": 182}, {"rarer": 18}], limits)
    assert is_proven(STRONG, 1000.0, [{}, {"rarer": 18}], limits), "a verdict of before does not say"
    assert not is_proven(STRONG, 5001.0, [{"rarer": 900}], limits)
    assert not is_proven(Evidence(5000.0, (3.0,), 0.0019, 0.0001, 4000.0, 0), 1000.0, [{"rarer": 900}], limits)
