"""A delivery that cannot be believed: one failed run with one clear message, and nothing of it to be seen."""

import pandas as pd
import pytest
from tests.integration.conftest import Stack

from incumbent.store.check import check

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
NAME = "air_weekly"
WEEKS = ("2013-03-04", "2013-03-11", "2013-03-18")
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
