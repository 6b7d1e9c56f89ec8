"""The commands about what is kept, known and removed say it in words, in JSON and by their exit status."""

import json
from pathlib import Path

import pytest
from tests.incumbent.erase.conftest import MODEL, PERSON, SQL, contract_at, lived

from incumbent.cli.main import BROKEN, FINE, USAGE, VERDICT_NO, main
from incumbent.records import Snapshot, digest_of
from incumbent.snapshot import take
from incumbent.store import ModelStore, Store

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation whose model has lived, and a second snapshot of it."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "models" / "small"
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(json.dumps(MODEL.model_dump(mode="json", exclude_defaults=True)))
    (folder / "features.sql").write_bytes(SQL)
    contract_at(folder)
    store = lived(Store(home / "store").model("small"), home)
    for request, columns in (("r2", {}), ("r3", {"late": [True] * 23})):
        truth = store.outcomes("truth")
        rows = truth.read(["2020-01"]).drop_columns(["partition"])
        if columns:
            truth.replace("2020-01", rows.slice(1).set_column(1, "late", [columns["late"]]))
        take(store, MODEL, digest_of(SQL), "2020-02", request, {})
    return home


@pytest.fixture
def home(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INCUMBENT_HOME", str(made))
    monkeypatch.setenv("INCUMBENT_MODELS", str(made / "models"))
    return made


@pytest.fixture
def store(home: Path) -> ModelStore:
    return Store(home / "store").model("small")


def test_show_names_files_trainings_and_whether_it_can_be_rebuilt(
    store: ModelStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["snapshot", "show", "small", "2020-01-r1"]) == FINE
    said = capsys.readouterr().out
    assert "it can be rebuilt: every file is there and verified" in said
    assert "features 2020-01" in said and said.count("verified") == 3
    assert main(["snapshot", "show", "small", "2020-01-r1", "--json"]) == FINE
    plain = json.loads(capsys.readouterr().out)
    assert plain["can_be_rebuilt"] and plain["id"] in store.records.names(Snapshot.kind)


def test_show_composes_as_of_a_moment_and_records_nothing(
    store: ModelStore, capsys: pytest.CaptureFixture[str]
) -> None:
    before = store.records.names(Snapshot.kind)
    moment = store.outcomes("truth").log.moments()[-2].at.isoformat()
    found = {}
    for given in ([], ["--known-at", moment]):
        assert main(["snapshot", "show", "small", "--partition", "2020-01", "--json", *given]) == FINE
        found[len(given)] = sum(part["rows"] for part in json.loads(capsys.readouterr().out)["outcomes"])
    assert found == {0: 23, 2: 24}
    assert store.records.names(Snapshot.kind) == before


def test_diff_counts_rows_by_key_and_changed_values_by_column(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["snapshot", "diff", "small", "r2", "r3", "--json"]) == VERDICT_NO
    (found,) = json.loads(capsys.readouterr().out)["partitions"]
    assert (found["role"], found["change"], found["rows"]) == ("outcomes", "changed", [24, 23])
    assert (found["added"], found["removed"], found["changed"], found["columns"]) == (0, 1, 12, {"late": 12})
    assert main(["snapshot", "diff", "small", "r2", "r3"]) == VERDICT_NO
    assert "0 added, 1 removed, 12 changed" in capsys.readouterr().out
    assert main(["snapshot", "diff", "small", "r2", "r2"]) == FINE


def test_what_names_no_snapshot_is_wrong_usage(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for given in (
        ["nothing"],
        [],
        ["r2", "--known-at", "2020-01-01T00:00Z"],
        ["--partition", "2020-01", "--known-at", "x"],
    ):
        assert main(["snapshot", "show", "small", *given]) == USAGE
        assert "next:" in capsys.readouterr().err


def test_a_dry_run_removes_nothing_and_what_is_removed_is_said(
    store: ModelStore, capsys: pytest.CaptureFixture[str]
) -> None:
    erase = ["erase", "small", "--key", f"customer={PERSON}", "--reason", "asked to"]
    assert main([*erase, "--dry-run"]) == FINE
    assert "would be removed" in capsys.readouterr().out
    assert main(["store", "vacuum", "small", "--keep-days", "30", "--dry-run"]) == FINE
    assert "0 data files would be removed" in capsys.readouterr().out
    assert main(["snapshot", "show", "small", "r2"]) == FINE
    assert main(erase) == FINE
    said = capsys.readouterr().out
    assert PERSON not in said and "batches/events" in said
    assert main(["snapshot", "show", "small", "r2"]) == VERDICT_NO
    assert "it cannot be rebuilt: " in capsys.readouterr().out
    for name in store.records.names("removals", "erasure/features/"):
        store.records.blobs.remove(f"removals/{name}.json")
    assert main(["snapshot", "show", "small", "r2"]) == BROKEN
