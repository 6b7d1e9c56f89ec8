"""The page about searches is right: its example can be read, and its numbers are the code's."""

import re
from pathlib import Path

import pytest
import yaml

from incumbent.config import Range, Search, Train

pytestmark = pytest.mark.unit
PAGE = (Path(__file__).parents[1] / "docs" / "search.md").read_text()


def test_the_example_can_be_read() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    search = Train.model_validate(yaml.safe_load(block)["train"]).search
    assert search is not None
    assert search.objectives == ("quality", "latency")
    assert search.space["max_depth"] == Range(low=3, high=10)
    assert search.space["grow_policy"] == ("depthwise", "lossguide")


def test_the_numbers_are_those_of_the_code() -> None:
    assert "thirty trials for quality in a space of six parameters" in PAGE
    assert (Search().trials, Search().objectives, len(Search().space_of("xgboost"))) == (30, ("quality",), 6)
    assert f"`tolerance` ({Search().tolerance} is a fifth of a percent" in PAGE


@pytest.mark.parametrize("name", re.findall(r"`records/(\w+)/`", PAGE))
def test_the_records_are_called_so(name: str) -> None:
    from incumbent import records

    assert name in (records.Search.kind, records.Trial.kind)
