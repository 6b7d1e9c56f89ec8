"""What is told of each kind of commit: by the official schemas, for good, and without anybody's values."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.incumbent.lineage.runs import built, held, naming, runs
from tests.openlineage.schemas import facets, problems

from incumbent.lineage import event as module
from incumbent.lineage.event import events_of
from incumbent.lineage.transport import line
from incumbent.sensitive import Sensitive

pytestmark = pytest.mark.unit
GOLDEN = Path(__file__).parents[2] / "golden" / "lineage-1.jsonl"


def told() -> list[dict[str, Any]]:
    names = naming()
    return [event for run in runs(names) for event in events_of(names, run)]


@pytest.fixture(autouse=True)
def released(monkeypatch: pytest.MonkeyPatch) -> None:
    """Golden files say one release."""
    monkeypatch.setattr(module, "PRODUCER", "urn:incumbent:0.0.0")


def test_each_event_and_each_facet_holds_its_official_schema() -> None:
    found = told()
    assert [problem for event in found for problem in problems(event)] == []
    keys = {key for event in found for key, _ in facets(event)}
    wanted = {"subset" if key.endswith("Subset") else key for key in module.SCHEMAS}
    assert keys == wanted, "a facet that no run has is not tried"


def test_the_events_of_a_commit_stay_as_they_are() -> None:
    """Told again in a year they are the same runs of the same jobs: `GOLDEN.write_text(...)` after a wanted change."""
    assert [line(event) for event in told()] == GOLDEN.read_text().splitlines()


def test_a_run_begins_and_ends_once_and_a_failed_one_says_why() -> None:
    names = naming()
    for run in runs(names):
        begun, ended = events_of(names, run)
        assert begun["run"]["runId"] == ended["run"]["runId"]
        failed = (run.job.endswith("validate") and not run.outputs) or "holds/" in run.what
        assert (begun["eventType"], ended["eventType"]) == ("START", "FAIL" if failed else "COMPLETE")
        assert ("errorMessage" in ended["run"]["facets"]) == failed


def test_what_a_rule_saw_is_not_told() -> None:
    assert "ann@" not in (said := "".join(line(event) for event in told())) and '"ann"' not in said


def test_features_of_sensitive_columns_are_counted_and_not_shown() -> None:
    shown = _metrics(naming())
    assert {name: shown["x"][name] for name in ("nullCount", "count", "min", "max")} == {
        "nullCount": 2, "count": 2, "min": 1.0, "max": 2.5,
    }  # fmt: skip
    assert shown["x"]["quantiles"].keys() == {"0.05", "0.25", "0.5", "0.75", "0.95"}
    people = naming(Sensitive({"events": ("x",)}, {"events": ()}, {"events": ()}))
    counted = {"nullCount": 1, "count": 3, "distinctCount": 2}
    assert _metrics(people) == {"x": {"nullCount": 2, "count": 2}, "kind": counted}
    assert "ann" in events_of(naming(), held(naming()))[1]["run"]["facets"]["errorMessage"]["message"]
    assert "ann" not in json.dumps(events_of(people, held(people)))


def _metrics(names: Any) -> dict[str, Any]:
    (output,) = events_of(names, built(names))[1]["outputs"]
    found: dict[str, Any] = output["facets"]["dataQualityMetrics"]["columnMetrics"]
    return found
