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
    limits = Gates(min_positives=200, min_clusters=5)

    def proven(*rarer: int, evidence: Evidence = STRONG, needed: float = 1000.0, df: float = 100.0) -> bool:
        return is_proven(evidence, needed, [{"rarer": each, "df": df} for each in rarer], limits)

    assert not proven(182)
    assert proven(182, 18)
    assert not proven(199, 0), "a batch of several classes may lack one"
    assert not proven(900, needed=5001.0)
    assert not proven(900, evidence=Evidence(5000.0, (3.0,), 0.0019, 0.0001, 4000.0, 0))
    assert [proven(*[300] * days, df=0.0) for days in (4, 5)] == [False, True], "each day is one cluster"
