"""A delivery is announced by one run, again when it was lost, and again when it was replaced."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo import raw_data
from incumbent.config import load_model
from incumbent.partitions import Grain
from incumbent.store import Store
from incumbent.validate.arrivals import claim_deliveries, new_deliveries

pytestmark = pytest.mark.unit

MODEL = load_model(Path(__file__).parents[3] / "include" / "models" / "flights_delay").model.model_copy(
    update={"grain": Grain.DAY}
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_each_delivery_is_announced_once(tmp_path: Path) -> None:
    store, raw = Store(tmp_path / "store").model("m"), tmp_path / "raw"
    for day in ("2013-01-02", "2013-01-01"):
        raw_data.write_partition(raw / MODEL.name, "flights", day, Grain.DAY)
    (raw / MODEL.name / "flights" / "2013-01-03.tmp").write_bytes(b"half")
    (raw / MODEL.name / "flights" / "readme.parquet").write_bytes(b"not a partition")

    def claim(owner: str, minutes: int = 0) -> list[str]:
        return claim_deliveries(store, MODEL, "flights", raw, owner, NOW + timedelta(minutes=minutes))

    assert claim("one") == ["2013-01-01", "2013-01-02"]
    assert claim("two") == []
    assert claim("one") == ["2013-01-01", "2013-01-02"]
    assert claim("two", minutes=16) == ["2013-01-01", "2013-01-02"]
    raw_data.damage_distance(raw / MODEL.name / "flights" / "2013-01-02.parquet")
    assert claim("three", minutes=17) == ["2013-01-02"]
    assert new_deliveries(store, MODEL, "flights", raw) == ["2013-01-01", "2013-01-02"]
    assert new_deliveries(store, MODEL, "planes", raw) == []
