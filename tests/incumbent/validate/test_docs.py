"""Pages are drawn from the results on record, for accepted and stopped deliveries alike, once on a machine."""

import pyarrow as pa
import pytest
from tests.incumbent.validate.conftest import ROWS, Deliver, build_contract

from incumbent.store import ModelStore
from incumbent.validate.docs import draw_missing

pytestmark = pytest.mark.unit


def test_each_delivery_has_a_page_with_what_was_found(store: ModelStore, deliver: Deliver) -> None:
    own = {"type": "expect_column_max_to_be_between", "kwargs": {"column": "x", "max_value": 30}}
    ranged = build_contract({"x": {"dtype": "float64", "max": 14}}, expectations=[own])
    accepted = deliver(ranged)
    stopped = deliver(ranged, x=pa.array([*map(float, range(ROWS - 1)), 99.0]))
    assert (accepted.verdict, stopped.verdict) == ("accepted", "stopped")
    drawn = draw_missing(store, "events", "2020-01")
    pages = [page.read_text() for page in drawn]
    assert len(pages) == 2 and all("must be less than or equal to" in page for page in pages)
    assert all(page.stem in text for page, text in zip(drawn, pages, strict=True))
    assert draw_missing(store, "events", "2020-01") == []
