"""A delivery that cannot be believed: one failed run with one clear message, and nothing of it to be seen."""

import json
from collections import Counter

import pandas as pd
import pytest
from tests.integration.conftest import Stack

from demo import raw_data
from incumbent.store.check import check

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
NAME = "air_weekly"
WEEKS = ("2013-03-04", "2013-03-11", "2013-03-18")
ODD, RECODED = "2013-03-25", "2013-04-01"  # a week with a row that cannot be, and one with other carriers' codes
SAID = {
    WEEKS[0]: ["the file is empty", f"{WEEKS[0]}.parquet", "expected: rows", "found: 0 bytes", "next: "],
    WEEKS[1]: ["the file cannot be read", f"{WEEKS[1]}.parquet", "expected: Parquet", "found: ", "next: "],
    WEEKS[2]: ["a column is missing", "column distance", "expected: int64", "found: absent", "next: "],
}


def test_each_says_what_to_do_and_a_corrected_file_goes_on(running: Stack) -> None:
    folder = running.settings.raw / NAME / "flights"
    folder.mkdir(parents=True, exist_ok=True)
    running.drop(NAME, "flights", WEEKS[2])
    whole = pd.read_parquet(folder / f"{WEEKS[2]}.parquet")
    running.settler(NAME).wait("the week that is spoilt next")
    (folder / f"{WEEKS[0]}.parquet").write_bytes(b"")
    (folder / f"{WEEKS[1]}.parquet").write_bytes(b"PAR1 and no more")
    whole.drop(columns="distance").to_parquet(folder / "spoilt.tmp")
    (folder / "spoilt.tmp").rename(folder / f"{WEEKS[2]}.parquet")
    before = running.store(NAME).batches("flights").parts()
    failed = running.failed_runs(f"{NAME}.ingest_flights", len(WEEKS))
    assert {run["partition_key"] for run in failed} == set(WEEKS)
    for run in failed:
        message = running.api.why_failed(run)
        assert [part for part in SAID[run["partition_key"]] if part not in message] == []
    assert running.store(NAME).batches("flights").parts() == before, "the good week stays"
    assert check(running.settings.open_store()) == []
    for week in WEEKS:
        running.drop(NAME, "flights", week)
    for run in failed:
        running.api.clear(run)
        assert running.api.wait(run["dag_id"], run["dag_run_id"]) == "success"
    running.settler(NAME).wait("the corrected files")
    assert set(WEEKS) <= set(running.store(NAME).batches("flights").parts())


def test_a_corrected_row_and_a_released_batch_go_on_once(running: Stack) -> None:
    whole = _rows(running, ODD)
    _deliver(running, ODD, whole.assign(distance=whole["distance"].where(whole.index != 7, -5)))
    running.settler(NAME).wait("a week with a distance below zero")
    words = (NAME, "flights", ODD)
    (entry,) = map(json.loads, running.call("incumbent", "quarantine", "show", *words, "--json").splitlines())
    assert (entry["line"], entry["rule"], entry["value"]) == (8, "distance.range", "-5")
    rows = running.settings.root / "corrected.jsonl"
    rows.write_text(json.dumps({"line": 8, "row": {**entry["row"], "distance": int(whole["distance"][7])}}))
    runs = _runs(running, ODD)
    said = running.execute("incumbent", "quarantine", "replay", *words, "--rows", str(rows), "--reason", "sign")
    assert "rows that are good now: 1; that stay set aside: 0" in said.stdout
    assert (said.returncode, "leaked" in said.stderr) == (0, False), said.stderr
    running.settler(NAME).wait("the replay")
    again = _runs(running, ODD) - runs
    assert set(again.values()) == {1}, "each stage ran once"
    assert {f"{NAME}.ingest_flights", f"{NAME}.features", f"{NAME}.score"} <= set(again)
    (features,) = (table for name, table in running.store(NAME).tables().items() if name.startswith("features/"))
    assert features.part(ODD).rows == running.store(NAME).batches("flights").part(ODD).rows == len(whole)

    whole = _rows(running, RECODED)
    codes = {name: f"{number:02}" for number, name in enumerate(sorted(whole["carrier"].unique()))}
    _deliver(running, RECODED, whole.assign(carrier=whole["carrier"].map(codes)))
    running.settler(NAME).wait("a week with other codes")
    assert RECODED not in features.parts()
    held = running.execute("incumbent", "batch", "show", NAME, RECODED)
    assert (held.returncode, "Held, nothing announced: airline" in held.stdout) == (1, True), held.stdout
    runs = _runs(running, RECODED)
    running.call("incumbent", "batch", "release", NAME, RECODED, "--reason", "carriers have numbers now")
    running.settler(NAME).wait("the release")
    assert set((_runs(running, RECODED) - runs).values()) == {1}, "each stage ran once"
    assert features.part(RECODED).rows == len(whole)
    assert check(running.settings.open_store()) == []


def _rows(running: Stack, week: str) -> pd.DataFrame:
    """A week's good rows, from a file beside the drop folder: one in it would be a delivery."""
    grain = running.model(NAME).grain
    return pd.read_parquet(raw_data.write_partition(running.settings.root / "aside", "flights", week, grain))


def _deliver(running: Stack, week: str, rows: pd.DataFrame) -> None:
    file = running.settings.raw / NAME / "flights" / f"{week}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(file.with_suffix(".tmp"))
    file.with_suffix(".tmp").rename(file)


def _runs(running: Stack, week: str) -> Counter[str]:
    return Counter(run["dag_id"] for run in running.api.runs() if run["partition_key"] == week)
