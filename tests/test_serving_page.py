"""The page about serving lists every reason why a request is not answered, with its status."""

import re
from pathlib import Path

import pytest

from incumbent.serve.refusal import STATUS

pytestmark = pytest.mark.unit
PAGE = (Path(__file__).parents[1] / "docs" / "serving.md").read_text()


def test_every_reason_is_listed_with_its_status() -> None:
    listed = dict[str, int]()
    for names, status in re.findall(r"^\| (`[a-z_` ·]+`) \| (\d{3}) \|", PAGE, re.M):
        listed |= dict.fromkeys(re.findall(r"`(\w+)`", names), int(status))
    assert listed == dict(STATUS)
