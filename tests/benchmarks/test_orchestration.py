"""The measurements run: a benchmark that nobody starts is found broken when its figure is asked for."""

import pytest

from benchmarks import orchestration

pytestmark = pytest.mark.dag


def test_the_shipped_dag_files_are_parsed() -> None:
    slowest, together = orchestration._parsing(1, slowest=0.5, together=None)
    dags = int(slowest.metric.removesuffix("_dags").rsplit("_", 1)[1])
    assert dags > 10
    assert 0 < slowest.value <= together.value
    assert together.metric == f"parse_all_files_1_models_{dags}_dags"
