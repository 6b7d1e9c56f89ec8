"""A delivery is measured only if its verdict is the expected one."""

import json
from pathlib import Path

import pytest

from benchmarks import corpus

pytestmark = pytest.mark.unit


def test_a_delivery_costs_time_and_memory_and_another_verdict_is_an_error(tmp_path: Path) -> None:
    assert corpus.write(str(tmp_path), variants="0", seed="7") == {"files": 1}
    (order,) = tmp_path.glob("*.order")
    cost = corpus.Cost(**corpus.deliver(str(order)))
    assert (cost.name, cost.seconds > 0, cost.memory > 50) == ("a good file", True, True)
    order.write_text(json.dumps(json.loads(order.read_text()) | {"reason": "UNREADABLE"}))
    with pytest.raises(RuntimeError, match="a good file: , not UNREADABLE: Accepted 50 rows"):
        corpus.deliver(str(order))
