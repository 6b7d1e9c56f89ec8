import pytest

from incumbent.monitor import PerformanceVerdict, metric_rows

pytestmark = pytest.mark.unit


def test_a_judged_partition_becomes_two_rows() -> None:
    verdict = PerformanceVerdict("2013-02", 3, "v" * 64, True, 0.99, "auc", 0.71, 0.02, {"rank": 0.1}, 0.5, "fine")
    assert metric_rows(verdict).to_pylist() == [
        {"generation": 3, "version": "v" * 64, "metric": "auc", "value": 0.71, "error": 0.02, "coverage": 0.99},
        {"generation": 3, "version": "v" * 64, "metric": "trivial_auc", "value": 0.5, "error": None, "coverage": 0.99},
    ]
