"""What a prediction rests on is found back to the raw file, and damage of each link is named."""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from lived import ASIDE, CORRECTED, LARGE, lived, opened, rows_of
from months import APRIL, FEBRUARY, JANUARY, MARCH

from incumbent.cli.main import BROKEN, FINE, USAGE, VERDICT_NO, main
from incumbent.estimators import predictor
from incumbent.provenance.chain import Chain
from incumbent.provenance.link import GONE
from incumbent.provenance.rows import standing
from incumbent.provenance.verify import verify
from incumbent.provenance.why import Asked, Why
from incumbent.records import GateReport, Ingest, ModelVersion, Promotion, RetrainRequest, Snapshot, canonical_json
from incumbent.store.check import check_model
from incumbent.store.vacuum import vacuum
from incumbent_airflow.runtime import Runtime

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("lived")
    lived(home)
    return home


@pytest.fixture
def runtime(home: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    monkeypatch.setenv("INCUMBENT_HOME", str(home))
    monkeypatch.setenv("INCUMBENT_STORE", opened(home).settings.store)
    monkeypatch.setenv("INCUMBENT_RAW", str(home / "raw"))
    monkeypatch.setenv("INCUMBENT_MODELS", str(home))
    return opened(home)


def asked(runtime: Runtime) -> Asked:
    return Asked(Chain(runtime.store, runtime.model, runtime.drop), predictor(runtime.store))


def number(key: str, place: int) -> int:
    """Return the key of the row at a place of a month."""
    return int(rows_of(key)[0]["row"][place].as_py())


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[dict[str, Any]]]:
    status = main(["prediction", "why", "small", *words, "--json"])
    return status, json.loads(capsys.readouterr().out)["rows"]


def test_drawn_rows_lead_to_the_raw_file_and_are_predicted_again(runtime: Runtime) -> None:
    assert check_model(runtime.store) == []
    done = verify(asked(runtime), 200, seed=1)
    assert (done.broken, done.rows, done.not_again) == ({}, 200, 0)
    assert (done.generations, done.contents) == ((1, 2, 3), 7)
    assert done.largest <= 1e-6
    # Of March's first delivery the file was replaced: those rows are made again from the batch.
    assert done.from_raw > 150 and 0 < done.from_batch < 50
    # Of seven contents two are of batches that were corrected since: March by a delivery, April by a replay.
    each = 200 // 7
    assert sum(done.by_generation.values()) == 200 and min(done.by_generation.values()) >= each
    assert 2 * each <= done.restated <= 2 * (each + 1) and 3 * each <= done.replaced <= 3 * (each + 1)
    assert done.rolled_back == done.by_generation[2]
    for name in ("raw file", "contract", "feature definition", "snapshot", "gate report", "prediction made again"):
        assert done.links[name].get("verified", 0) >= 170, name
    assert list(done.links)[:3] == ["predictions", "generation", "request"]
    assert done.links["code commit"].keys() <= {"recorded", "in no git"}


def test_one_prediction_is_told_in_words(runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prediction", "why", "small", f"row={number(APRIL, 0)}"]) == FINE
    told = capsys.readouterr().out
    assert "generation 3, by rollback" in told and "It predicts another world." in told
    for link in ("gate report", "model file", "snapshot", "feature definition", "pinned inputs", "raw file of events"):
        assert link in told
    assert "made again from the raw file" in told and "broken" not in told
    assert told.splitlines()[-1] == "Next: incumbent version why small 3"


def test_everything_that_was_said_of_a_row_is_kept(runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = said(capsys, f"row={number(MARCH, 0)}", "--history")
    assert status == FINE
    assert [each["made"]["generation"] for each in found] == [2, 2, 3]
    assert [each["start"] for each in found] == ["batch content", "raw file", "raw file"]
    assert [each["stood"]["until"] is None for each in found] == [False, False, True]
    assert len({each["made"]["batch_digest"] for each in found}) == 2
    status, then = said(capsys, f"row={number(MARCH, 0)}", "--as-of", found[1]["stood"]["since"])
    assert (status, then[0]["says"], then[0]["made"]) == (FINE, found[1]["says"], found[1]["made"])


def test_a_row_that_cannot_be_scored_says_why(runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    status, (found,) = said(capsys, f"row={number(APRIL, LARGE)}")
    assert (status, found["says"], found["broken"]) == (FINE, {"reason": "x is infinite, or too large"}, [])
    assert (found["again"], found["difference"]) == (found["says"], 0.0)


def test_a_row_that_a_person_corrected_is_the_replays(runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    status, (found,) = said(capsys, f"row={number(APRIL, CORRECTED)}")
    assert (status, found["start"], found["broken"]) == (FINE, "raw file", [])
    (delivery,) = (each for each in found["links"] if each["name"] == f"delivery of events {APRIL}")
    assert delivery["more"]["revisit"] and "Replayed 1 rows" in delivery["says"]


def test_a_key_that_nobody_knows(runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    for given in ("row=77", f"row={number(JANUARY, ASIDE)}"):
        assert main(["prediction", "why", "small", given]) == VERDICT_NO
        assert "no prediction has this key" in (told := capsys.readouterr().out) and "Next: " in told
    assert main(["prediction", "why", "small", f"row={number(APRIL, 0)}", "--partition", MARCH]) == VERDICT_NO
    for given in (["row"], ["line=1"], ["row=x"], ["row=1", "row=2"], ["row=1", "--partition", "x"],
                  ["row=1", "--as-of", "x"], ["row=1", "--as-of", "2020-01-01", "--history"]):  # fmt: skip
        assert main(["prediction", "why", "small", *given]) == USAGE
        assert "next:" in capsys.readouterr().err


def test_the_raw_file_may_be_gone(runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(str(runtime.raw_path("events", FEBRUARY)))
    kept = file.rename(file.with_suffix(".kept"))
    try:
        status, (found,) = said(capsys, f"row={number(FEBRUARY, 0)}")
    finally:
        kept.rename(file)
    assert (status, found["start"], found["difference"], found["broken"]) == (FINE, "batch content", 0.0, [])
    states = {each["name"]: each["state"] for each in found["links"]}
    assert states[f"raw file of events {FEBRUARY}"] == GONE


def test_verify_prints_a_summary(runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prediction", "verify", "small", "--rows", "14"]) == FINE
    told = capsys.readouterr()
    assert "14 rows of 7 contents, 4 partitions, generations 1, 2, 3" in told.out
    assert "of a batch that was corrected since: 4" in told.out and "  raw file " in told.out
    assert told.err.splitlines()[-1] == "14 of 14 rows, 7 of 7 contents"
    assert main(["prediction", "verify", "small", "--rows", "0"]) == USAGE


def test_what_retention_took_away_is_no_damage(runtime: Runtime, of_april: Why) -> None:
    """A replay starts from the quarantine of then, which nothing needs once it is done."""
    assert of_april.start == "raw file"
    assert vacuum(runtime.store, 0, datetime.now(UTC) + timedelta(days=2))
    (why,) = asked(runtime).rows(of_april.stood, _first(runtime, APRIL))
    assert (why.start, why.difference, why.broken) == ("batch content", 0.0, [])
    done = verify(asked(runtime), 40)
    assert (done.broken, done.contents, done.rows) == ({}, 4, 40)


# Damage: what is done, to which blob, and the link that is named.


def missing(path: Path) -> None:
    path.unlink()


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def saying(**other: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_bytes(canonical_json(json.loads(path.read_bytes()) | other))

    return change


def record(kind: str, chosen: Callable[[Why, Runtime], str]) -> Callable[[Why, Runtime], str]:
    return lambda why, runtime: f"records/{kind}/{chosen(why, runtime)}.json"


def version(why: Why, runtime: Runtime) -> ModelVersion:
    assert why.made
    return runtime.store.records.get(ModelVersion, why.made.version)


def file_of(digest: str) -> str:
    return f"objects/{digest[:2]}/{digest}"


def link(why: Why, name: str) -> str:
    return next(each.digest for each in why.links if each.name == name)


def named(prefix: str, kind: str) -> Callable[[Why, Runtime], str]:
    return lambda _, runtime: f"records/{kind}/{runtime.store.records.names(kind, prefix)[-1]}.json"


def part_of(table: str, digest: Callable[[Why, Runtime], str]) -> Callable[[Why, Runtime], str]:
    return lambda why, runtime: f"tables/{table}/partition={MARCH}/{digest(why, runtime)}.parquet"


def features_of(why: Why, runtime: Runtime) -> str:
    assert why.made
    return f"tables/features/{why.made.definition[:16]}/partition={MARCH}/{why.made.features_digest}.parquet"


def training_rows(why: Why, runtime: Runtime) -> str:
    first = runtime.store.records.get(Snapshot, version(why, runtime).snapshot).features[0]
    assert why.made
    return f"tables/features/{why.made.definition[:16]}/partition={first['partition']}/{first['digest']}.parquet"


SEAT = record(Promotion.kind, lambda *_: "000003")
REPORT = record(GateReport.kind, lambda why, _: link(why, "gate report"))
VERSION = record(ModelVersion.kind, lambda why, _: link(why, "version"))
DAMAGE: dict[str, tuple[Callable[[Path], None], Callable[[Why, Runtime], str], str]] = {
    "seat gone": (missing, SEAT, "generation"),
    "seat of another": (saying(version="0" * 64), SEAT, "generation"),
    "report gone": (missing, REPORT, "gate report"),
    "report altered": (saying(sentence="All good."), REPORT, "gate report"),
    "version gone": (missing, VERSION, "version"),
    "version of another definition": (saying(definition="0" * 64), VERSION, "version"),
    "version of other levels": (saying(categories={"kind": ["c", "b", "a"]}), VERSION, "prediction made again"),
    "model file altered": (flipped, lambda why, _: file_of(link(why, "model file")), "model file"),
    "packages gone": (missing, lambda why, _: file_of(link(why, "packages")), "packages"),
    "snapshot altered": (
        saying(train_until="2020-01-02"), record(Snapshot.kind, lambda why, _: link(why, "snapshot")), "snapshot",
    ),
    "training rows altered": (flipped, training_rows, "training rows"),
    "features gone": (missing, features_of, "features"),
    "features altered": (flipped, features_of, "features"),
    "definition altered": (flipped, lambda why, _: file_of(link(why, "feature definition")), "feature definition"),
    "pin altered": (saying(events=[]), named(f"inputs/{MARCH}-", "pins"), "pinned inputs"),
    "batch altered": (flipped, part_of("batches/events", lambda why, _: link(why, f"content of events {MARCH}")),
                      f"content of events {MARCH}"),
    "contract gone": (missing, lambda why, _: file_of(link(why, f"contract of events {MARCH}")),
                      f"contract of events {MARCH}"),
}  # fmt: skip


@pytest.fixture
def restored(runtime: Runtime) -> Iterator[None]:
    """What a test damages is there again afterwards."""
    folder = Path(runtime.store.blobs.url)
    shutil.copytree(folder, folder.with_suffix(".kept"))
    yield
    shutil.rmtree(folder)
    folder.with_suffix(".kept").rename(folder)


@pytest.fixture
def of_march(runtime: Runtime, restored: None) -> Why:
    """A prediction that stands."""
    return next(asked(runtime).rows(standing(runtime.store, MARCH)[0], _first(runtime, MARCH)))


@pytest.fixture
def of_april(runtime: Runtime, restored: None) -> Why:
    """One of a batch that a replay has changed."""
    return next(asked(runtime).rows(standing(runtime.store, APRIL)[0], _first(runtime, APRIL)))


def _first(runtime: Runtime, key: str) -> pa.Table:
    return runtime.store.predictions.read([key]).drop_columns(["partition"]).slice(0, 1)


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named(damage: str, runtime: Runtime, of_march: Why) -> None:
    change, where, expected = DAMAGE[damage]
    assert not of_march.broken
    first = _first(runtime, MARCH)
    change(Path(runtime.store.blobs.url) / where(of_march, runtime))
    (why,) = asked(runtime).rows(standing(runtime.store, MARCH)[0], first)
    assert expected in [each.name for each in why.broken], why.broken


def test_predictions_that_nobody_made_are_named(
    runtime: Runtime, of_march: Why, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody wrote into the table by other ways: each digest is right, and the rows are not what was predicted."""
    store = runtime.store
    rows = store.predictions.read([MARCH]).drop_columns(["partition"])
    place, made = rows.column_names.index("prediction"), pc.add(rows["prediction"], 2e-6)
    store.predictions.replace(MARCH, rows.set_column(place, "prediction", made))
    status, (found,) = said(capsys, f"row={number(MARCH, 0)}")
    assert (status, found["broken"], round(found["difference"], 7)) == (BROKEN, ["prediction made again"], 2e-6)
    assert main(["prediction", "verify", "small", "--rows", "20"]) == BROKEN
    assert "largest difference: 2e-06" in capsys.readouterr().out


def test_features_that_the_definition_does_not_give_are_named(runtime: Runtime, of_march: Why) -> None:
    """Somebody put other features into the place of these, and altered each record that names them."""
    store, made = runtime.store, of_march.made
    assert made
    table, records = store.features(made.definition), Path(store.blobs.url) / "records"
    rows = table.read([MARCH]).drop_columns(["partition"])
    part = table.replace(MARCH, rows.set_column(rows.column_names.index("x"), "x", pc.add(rows["x"], 1.0))).part
    for name in store.records.names("profiles", f"{made.definition[:16]}/{MARCH}-"):
        if store.records.get_plain("profiles", name)["features"] == made.features_digest:
            saying(features=part.digest)(records / "profiles" / f"{name}.json")
    stored = store.predictions.read([MARCH]).drop_columns(["partition"])
    place = stored.column_names.index("features_digest")
    digests = pa.array([part.digest] * stored.num_rows)
    store.predictions.replace(MARCH, stored.set_column(place, "features_digest", digests))
    (why,) = asked(runtime).rows(standing(store, MARCH)[0], _first(runtime, MARCH))
    assert [each.name for each in why.broken] == ["features made again"]
    assert "differs from them in x" in why.broken[0].found


def test_a_request_a_delivery_and_a_profile_that_are_lost(runtime: Runtime, of_march: Why) -> None:
    january = _first(runtime, JANUARY)
    records = runtime.store.records
    lost = [f"{RetrainRequest.kind}/{name}" for name in records.names(RetrainRequest.kind, f"{JANUARY}-r1/open")]
    lost += [f"{Ingest.kind}/{name}" for name in records.names(Ingest.kind, f"events/{JANUARY}/")]
    for name in lost:
        records.blobs.remove(f"{name}.json")
    (why,) = asked(runtime).rows(standing(runtime.store, JANUARY)[0], january)
    assert [each.name for each in why.broken] == ["request", f"delivery of events {JANUARY}"]
    assert why.difference == 0.0, "it is made again from the batch"
    for name in records.names("profiles"):
        records.blobs.remove(f"profiles/{name}.json")
    (why,) = asked(runtime).rows(standing(runtime.store, JANUARY)[0], january)
    assert {"pinned inputs", "features made again"} <= {each.name for each in why.broken}


def test_a_file_that_gives_other_rows_is_named(
    runtime: Runtime, of_march: Why, capsys: pytest.CaptureFixture[str]
) -> None:
    """The record was altered to fit a file that was altered too: the batch is what tells."""
    file = Path(str(runtime.raw_path("events", MARCH)))
    kept = file.read_bytes()
    rows = pq.read_table(file)
    pq.write_table(rows.set_column(rows.column_names.index("y"), "y", pa.array([0.0] * rows.num_rows)), file)
    chain = asked(runtime).chain
    (name,) = (
        name for name in runtime.store.records.names(Ingest.kind, f"events/{MARCH}/")
        if runtime.store.records.get(Ingest, name).digest == link(of_march, f"content of events {MARCH}")
    )  # fmt: skip
    path = Path(runtime.store.blobs.url) / "records" / Ingest.kind / f"{name}.json"
    try:
        saying(raw_digest=chain.files.sha256("events", MARCH))(path)
        status, (found,) = said(capsys, f"row={number(MARCH, 0)}")
    finally:
        file.write_bytes(kept)
    assert (status, found["broken"]) == (BROKEN, ["batch made again"])
    assert "differs from it in y" in str(found["links"])
