"""What the page on training shows is configuration that loads, and messages that there are."""

import re
from pathlib import Path

import pytest
import yaml

from incumbent.config import Train

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "training.md").read_text()


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", PAGE, re.S))
def test_each_example_loads(block: str) -> None:
    assert Train.model_validate(yaml.safe_load(block)["train"])


def test_each_message_is_one_that_the_code_has() -> None:
    packages = ("", "/cluster", "/train", "/estimators", "/evaluate")
    folders = (*(f"include/incumbent{name}" for name in packages), "plugins/incumbent_airflow")
    code = "\n".join(path.read_text() for folder in folders for path in (ROOT / folder).glob("*.py"))
    rows = PAGE.split("| message | what to do |")[1].split("\n\n")[0].splitlines()[2:]
    messages = [message.strip() for row in rows for message in row.split("|")[1].split("·")]
    assert len(messages) > 10
    assert [message for message in messages if message not in code] == []
