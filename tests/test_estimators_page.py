"""The page about estimators is right: its table is what the code refuses and allows. Its script is run by the loop."""

import inspect
import re
from dataclasses import fields
from typing import Any

import pytest
from tests.docs_example import EXAMPLE, PAGE

from incumbent.config import IN_ROUNDS, Train
from incumbent.estimators import Estimator, estimator
from incumbent.estimators.abilities import ABILITIES, Ability

pytestmark = pytest.mark.unit
SAID = {
    "several Ray workers share a fit": "workers",
    "a GPU": "cuda",
    "a candidate that goes on from the champion (`warm_rounds`)": "warm",
    "binned rows on disk (`external_memory`)": "external",
    "your own `metric` ([model.py](model-py.md))": "metric",
    "your own `objective`": "objective",
    "exact explanations": "explained",
    "`balance`, early stopping, checkpoints": "rounds",
}


def table() -> dict[str, dict[str, str]]:
    """Return each guarantee with what is said of each estimator."""
    lines = [line.strip("| \n").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("|")]
    names = [name.strip("`") for name in lines[0][1:]]
    return {line[0]: dict(zip(names, line[1:], strict=True)) for line in lines[2:]}


def test_it_has_each_estimator() -> None:
    assert set(next(iter(table().values()))) == set(ABILITIES)
    assert set(ABILITIES) == set(Train.model_fields["estimator"].annotation.__args__)  # type: ignore[union-attr]


@pytest.mark.parametrize(("guarantee", "ability"), SAID.items(), ids=list(SAID.values()))
def test_what_is_said_is_what_can_be_asked_for(guarantee: str, ability: str) -> None:
    said = table()[guarantee]
    assert {name: not each.startswith("no: refused") for name, each in said.items()} == {
        name: getattr(each, ability) for name, each in ABILITIES.items()
    }
    told = {each.name for each in fields(Ability) if each.type == "bool"}
    assert told == set(SAID.values())


@pytest.mark.parametrize("name", ABILITIES)
def test_each_is_a_module_of_the_seven_functions(name: str) -> None:
    wanted = {each for each, _ in inspect.getmembers(Estimator, inspect.isfunction) if not each.startswith("_")}
    assert wanted == {"fit", "predict", "save", "verify", "load", "explain", "splits"}
    module = estimator(name)
    assert all(callable(getattr(module, each)) for each in wanted)
    assert table()["needs"][name] == (f"`incumbent[{ABILITIES[name].extra}]`" if ABILITIES[name].extra else "the wheel")


@pytest.mark.parametrize("asked", [{"rounds": 10}, {"early_stopping": 5}, {"balance": True}, {"checkpoint_every": 5}])
def test_what_only_rounds_can_do_is_refused_for_a_script(asked: dict[str, Any]) -> None:
    assert asked.keys() <= set(IN_ROUNDS)
    with pytest.raises(ValueError, match="here your script decides"):
        Train.model_validate({"estimator": "onnx", "script": "train.py", **asked})


def test_the_example_is_one_file_and_names_itself() -> None:
    assert EXAMPLE.startswith("# train.py\n")
    assert re.search(r"script: train\.py", PAGE.read_text())
