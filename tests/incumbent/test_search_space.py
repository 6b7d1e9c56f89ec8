"""What may be searched, under which name."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from incumbent.config import Range, Search, Train, read_yaml
from incumbent.errors import ConfigError
from incumbent.search_space import DEFAULTS, KNOWN, check_names

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("estimator", DEFAULTS)
def test_the_default_space_has_known_parameters_around_what_the_library_takes(estimator: str) -> None:
    check_names(estimator, DEFAULTS[estimator])
    for name, values in Search().space_of(estimator).items():
        assert isinstance(values, Range)
        assert values.low <= KNOWN[estimator][name] <= values.high


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"space": {"max_dept": [3, 4]}}, "'max_dept' is no parameter that can be searched; those are colsample"),
        ({"space": {"objective": ["a", "b"]}}, "'objective' is no parameter"),
        ({"space": {"eta": [0.1, 0.2], "learning_rate": [0.1, 0.2]}}, "'eta' and 'learning_rate' are the same"),
        ({"space": {"max_depth": {"low": 5, "high": 5}}}, "an empty range: `low` 5 is not below `high` 5"),
        ({"space": {"max_depth": {"low": 7, "high": 3}}}, "an empty range"),
        ({"space": {"reg_alpha": {"low": 0, "high": 3, "log": True}}}, "a `log` range begins above 0"),
        ({"space": {"reg_alpha": {"low": 0, "high": float("inf")}}}, "finite"),
        ({"space": {"max_depth": []}}, "`max_depth` needs two different values"),
        ({"space": {"max_depth": [3, 3]}}, "`max_depth` needs two different values"),
        ({"objectives": ["latency"]}, "`objectives` begins with quality"),
        ({"objectives": ["quality", "size", "size"]}, "`objectives` begins with quality"),
        ({"objectives": ["quality", "fairness"]}, "'quality', 'latency' or 'size'"),
        ({"trials": 0}, "greater than or equal to 1"),
        ({"minutes": 0}, "greater than 0"),
        ({"rounds": 5}, "Extra inputs"),
    ],
)
def test_what_cannot_be_searched_is_said(search: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Train.model_validate({"search": search})
    assert message in str(caught.value)


def test_a_mistake_in_a_range_is_said_of_the_range_alone(tmp_path: Path) -> None:
    (tmp_path / "search.yaml").write_text("search: {trial: 5, space: {max_depth: {low: 3, hgh: 5}}}")
    with pytest.raises(ConfigError) as caught:
        read_yaml(tmp_path / "search.yaml", Train)
    assert str(caught.value).count("max_depth") == 3  # it lacks `high`, has `hgh`, and is to be corrected
    assert "search.space.max_depth.range.high" in str(caught.value)
    with pytest.raises(ConfigError, match="a key does not fit") as caught:
        (tmp_path / "search.yaml").write_text("search: {trial: 5}")
        read_yaml(tmp_path / "search.yaml", Train)
    assert "trials? It is one of the keys trials, minutes, patience" in str(caught.value)


def test_early_stopping_is_for_trainings_without_a_search() -> None:
    with pytest.raises(ValidationError, match=r"say `search\.patience`, and no `early_stopping`"):
        Train.model_validate({"search": {}, "early_stopping": 5})


def test_whole_numbers_stay_whole() -> None:
    space = Search.model_validate({"space": {"max_depth": {"low": 3, "high": 9}, "subsample": [0.5, 1]}}).space
    assert space == {"max_depth": Range(low=3, high=9), "subsample": (0.5, 1)}
    assert isinstance(space["max_depth"].low, int)
