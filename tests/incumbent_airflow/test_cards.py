"""The card of a version that has lived, and the evidence behind it: from its records alone, and the same each time."""

import json
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lived import lived, opened

from incumbent.card import keep
from incumbent.card.archive import verify
from incumbent.card.known import Known
from incumbent.card.signature import fingerprint
from incumbent.cli.main import BROKEN, FINE, USAGE, main
from incumbent.config import Card, Model
from incumbent.evaluate.figures import GateFigures
from incumbent.provenance.version import find
from incumbent.records import GateReport, ModelVersion, Snapshot, digest_of
from incumbent.store import ModelStore, Store
from incumbent.store.check import check_model
from incumbent_airflow.cards import write_card
from incumbent_airflow.runtime import Runtime

pytestmark = pytest.mark.unit
PAGE = (Path(__file__).parents[2] / "docs" / "cards.md").read_text()


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


@pytest.fixture
def copied(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """Return a copy of the store, for what is changed."""
    shutil.copytree(opened(home).settings.store, tmp_path / "store")
    monkeypatch.setenv("INCUMBENT_STORE", str(tmp_path / "store"))
    return Store(tmp_path / "store").model("small")


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["version", *words]) == FINE
    return capsys.readouterr().out


def test_the_card_says_who_it_is_and_what_became_of_it(runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "card", "small", "2")
    assert text.startswith("# small, generation 2\n\n**It lost the seat to a rollback: It predicts another world.")
    for said in (
        "| Owner | tests |",
        "| superiority | passed | +0.713 AUC",
        "| x | number | 55.1 % | 49.5 % | +5.6 |",
        "| kind | a | 313 |",
        "so nothing is known of it",
        "| events | batch | 2 | 7,996 | 4 |",
        "robustness against inputs",
        "It lost generation 2 to a rollback, and is not promoted again.",
    ):
        assert said in text
    first = printed(capsys, "card", "small", "1")
    assert first.startswith("# small, generation 1, 3\n\n**It holds the seat, as generation 3.")
    assert "a first model has no champion to be compared with" in first


def test_a_run_writes_the_card_when_it_judges_and_when_it_promotes(runtime: Runtime) -> None:
    store, version = runtime.store, find(runtime.store, "2").digest
    judged, seated = store.records.all(keep.CardFiles, f"{version}/")
    assert (judged.moment[:7], seated.moment) == ("judged-", "seat-000002")
    texts = [store.objects.get(each.markdown).decode() for each in (judged, seated)]
    assert "It does not hold the seat. All 9 gates passed" in texts[0]
    assert "It holds the seat, as generation 2. All 9 gates passed" in texts[1], "as it was then"
    page = store.reports() / "cards" / f"{version[:16]}.html"
    assert page.read_bytes() == store.objects.get(seated.page)
    assert check_model(store) == []


def test_a_card_is_written_once_and_what_stands_is_laid_out_again(runtime: Runtime) -> None:
    store, version = runtime.store, find(runtime.store, "2")
    page = store.reports() / "cards" / f"{version.digest[:16]}.html"
    before = page.read_bytes()
    page.unlink()
    write_card(runtime, version.digest, 2)
    assert page.read_bytes() == before
    assert len(store.records.names("cards", f"{version.digest}/")) == 2


def test_a_card_that_cannot_be_written_stops_nothing(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keep, "document", lambda *_, **__: 1 / 0)
    other = next(each for each in runtime.store.records.all(ModelVersion))
    write_card(runtime, other.digest, 999)
    assert f"is not written; incumbent version card {runtime.model.name} 999" in caplog.text


def test_the_figures_lie_beside_each_report(runtime: Runtime) -> None:
    records = runtime.store.records
    assert records.names(GateFigures.kind) == records.names(GateReport.kind)
    found = [records.get(GateFigures, name) for name in records.names(GateFigures.kind)]
    assert all(set(each.importance) == {"x", "y", "kind"} and each.explained == each.rows for each in found)
    (second,) = [each for each in found if each.champion]
    assert set(second.champion_importance) == {"x", "y", "kind"}


def test_a_version_of_an_earlier_release_has_a_card_too(runtime: Runtime) -> None:
    """One without an order, whose report has no figures: the card says what it does not know."""
    store, version = runtime.store, find(runtime.store, "2")
    known = Known(store, ModelVersion.from_json({**version.to_json(), "order": ""}), runtime.model)
    known.__dict__["figures"] = None
    text = keep.markdown(keep.document(known))
    assert "The configuration of its day was not kept" in text
    assert "What features add to predictions is not known: it was judged by a release that kept none." in text
    assert "No curve was kept of it." in text


def test_the_page_goes_where_it_is_asked(runtime: Runtime, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "card.html"
    assert "Next: incumbent version evidence small 2" in printed(capsys, "card", "small", "2", "--out", str(out))
    assert out.read_text() == printed(capsys, "card", "small", "2", "--html")
    assert json.loads(printed(capsys, "card", "small", "2", "--json"))["title"] == "small, generation 2"
    assert main(["version", "card", "small", "2", "--out", str(tmp_path / "no" / "where")]) == USAGE
    assert "the file cannot be written" in capsys.readouterr().err


def written(tmp_path: Path, name: str, *words: str) -> dict[str, bytes]:
    out = tmp_path / name
    assert main(["version", "evidence", "small", "2", "--out", str(out), *words]) == FINE
    with zipfile.ZipFile(out) as found:
        return {each: found.read(each) for each in found.namelist()}


def test_the_evidence_is_whole_and_the_same_each_time(runtime: Runtime, tmp_path: Path) -> None:
    store, version = runtime.store, find(runtime.store, "2")
    files = written(tmp_path, "first.zip")
    written(tmp_path, "second.zip")
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()
    assert verify(tmp_path / "first.zip", None).problems == ()
    kinds = {name.split("/")[1] for name in files if name.startswith("records/")}
    assert kinds == {
        "versions", "snapshots", "trainings", "training_costs", "requests", "gate_reports", "gate_figures", "promotions"
    }  # fmt: skip
    record = files[f"records/versions/{version.digest}.json"]
    assert record == store.records.blobs.read(f"versions/{version.digest}.json")
    assert files["features.sql"] == store.objects.get(version.definition)
    told = Model.model_validate(yaml.safe_load(files["model.yaml"]))
    assert told.model_dump() == runtime.model.model_dump()
    (contracts,) = [snapshot.contracts for snapshot in [store.records.get(Snapshot, version.snapshot)]]
    assert {f"contracts/{name}.json" for name in contracts} < set(files)
    assert all(digest_of(files[f"contracts/{name}.json"]) == digest for name, digest in contracts.items())
    assert [(each["generation"], each["is_this_version"]) for each in json.loads(files["ledger.json"])] == [
        (2, True), (3, False)
    ]  # fmt: skip
    assert json.loads(files["provenance.json"])["broken"] == []
    assert len(json.loads(files["sbom.cdx.json"])["components"]) > 100


def test_the_index_answers_each_point_or_says_that_it_does_not(runtime: Runtime, tmp_path: Path) -> None:
    text = written(tmp_path, "it.zip")["index.md"].decode()
    assert "## 1. A general description of the AI system including:" in text
    assert "## 8. A copy of the EU declaration of conformity referred to in Article 47;" in text
    after = text.split("Article 47;")[1].split("##")[0]
    assert "| not here | The team supplies: all of it. |" in after
    assert "| Signed | by nobody: no key was given |" in text
    assert (text.count("| in part |"), text.count("| not here |")) == (13, 10)
    assert "Of 23 points of Annex IV 13 are answered in part, and 10 not at all." in text


def test_the_evidence_is_signed_by_the_key_of_the_environment(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(private)
    monkeypatch.setenv("INCUMBENT_SIGNING_KEY", str(tmp_path / "key.pem"))
    files = written(tmp_path, "it.zip")
    assert verify(tmp_path / "it.zip", files["SHA256SUMS.pub"]).vouched is True
    assert f"with the fingerprint {fingerprint(files['SHA256SUMS.pub'])}" in files["index.md"].decode()
    assert not [name for name, data in files.items() if b"PRIVATE KEY" in data]


def test_what_is_broken_is_in_the_evidence_and_in_the_status(
    runtime: Runtime, copied: ModelStore, tmp_path: Path
) -> None:
    version = find(copied, "2")
    (tmp_path / "store" / "small" / "objects" / version.digest[:2] / version.digest).write_bytes(b"altered")
    out = tmp_path / "it.zip"
    assert main(["version", "evidence", "small", "2", "--out", str(out)]) == BROKEN
    with zipfile.ZipFile(out) as found:
        assert "What it rests on does not hold: model file" in found.read("index.md").decode()
        assert json.loads(found.read("provenance.json"))["broken"] == ["model file"]


@pytest.mark.parametrize("command", re.findall(r"^incumbent version .*", PAGE, re.M))
def test_the_page_says_commands_that_do_it(
    command: str, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["version", "evidence", "small", "2", "--out", "evidence.zip"]) == FINE
    words = command.replace("MODEL GENERATION", "small 2").replace("FILE", "evidence.zip").split()
    assert main(words[1:]) == FINE
    assert (tmp_path / words[-1]).is_file() == (words[-1] != "2")


def test_what_monitor_has_seen_is_on_the_card(
    runtime: Runtime, copied: ModelStore, capsys: pytest.CaptureFixture[str]
) -> None:
    version = find(copied, "2").digest
    mine = {"partition": "2020-03", "generation": 2, "version": version}
    for name, more in (
        ("drift-a", {"tier": "warning", "sentence": "the scores moved."}),
        ("drift-b", {"tier": "none", "sentence": "nothing moved."}),
        ("performance-a", {"sentence": "AUC is 0.7."}),
        ("drift-of-another", {"tier": "warning", "version": "0" * 64, "sentence": "of another version."}),
    ):
        copied.records.put_plain("verdicts", f"2020-03/{name}", {**mine, **more})
    text = printed(capsys, "card", "small", "2")
    assert "2 batches judged for drift, 1 with an alarm; 1 with outcomes." in text
    assert "| 2020-03 | performance | AUC is 0.7. |" in text and "of another version" not in text


def test_groups_are_on_the_card_where_they_were_asked_for(runtime: Runtime) -> None:
    known = Known(runtime.store, find(runtime.store, "2"), runtime.model)
    measure = {
        "column": "kind", "measure": "true_positive_rate", "max_gap": 0.05, "passed": False,
        "groups": [{"group": "group 1", "rows": 700, "value": 0.25}, {"group": "group 2", "rows": 12, "value": None}],
        "sentence": "true positive rate by kind: group 1 and group 2 differ by 12 %",
    }  # fmt: skip
    gate = {"gate": "fairness", "passed": False, "measures": [measure], "sentence": measure["sentence"]}
    known.__dict__["report"] = replace(known.report, gates=(gate,), verdict="reject")
    text = keep.markdown(keep.document(known))
    assert "| group 1 | 700 | 0.25 |\n| group 2 | 12 |  |" in text
    assert "A gap of 5 % is allowed." in text
    assert "* Gate fairness: true positive rate by kind" in text, "what failed is a limit"
    assert "Groups of people were not compared" not in text


def test_what_the_team_says_stands_beside_what_is_on_record(runtime: Runtime) -> None:
    known = Known(runtime.store, find(runtime.store, "2"), runtime.model)
    card = Card(use="Calls.", not_for="People.", limits=("The first week.",))
    known.__dict__["of_then"] = runtime.model.model_copy(update={"card": card, "description": "Late orders."})
    text = keep.markdown(keep.document(known))
    for said in ("| Intended use | Calls. |", "| Not for | People. |", "* The team says: The first week."):
        assert said in text
    assert "not written down" not in text and "names no limits" not in text


def test_a_version_that_nobody_trained_or_judged_has_a_card_and_evidence(
    runtime: Runtime, copied: ModelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = copied.objects.put(b"a model from elsewhere")
    other = replace(find(copied, "2"), digest=digest, snapshot="", order="", code={})
    copied.records.put(digest, other)
    text = printed(capsys, "card", "small", digest[:16])
    assert text.startswith(f"# small, version {digest[:12]}, not promoted\n\n**It does not hold the seat.**")
    assert "It was never judged" in text and "its training data is not on record" in text
    out = tmp_path / "it.zip"
    assert main(["version", "evidence", "small", digest[:16], "--out", str(out)]) == FINE
    with zipfile.ZipFile(out) as found:
        assert not {"sbom.cdx.json", "model.yaml"} & set(found.namelist())
        index = found.read("index.md").decode()
    assert "Not kept of this version: the configuration that it was trained by; " in index
    assert "| not here | The team supplies: all of it. |" in index.split("relevant software or firmware")[1][:200]


def test_a_card_whose_file_is_gone_is_a_broken_promise(copied: ModelStore) -> None:
    version = find(copied, "2").digest
    seated = copied.records.get(keep.CardFiles, f"{version}/seat-000002")
    copied.objects.remove(seated.page)
    copied.records.put_plain("cards", f"{version}/seat-000009", seated.to_json())
    copied.records.put_plain("gate_figures", "0" * 64, GateFigures(version).to_json())
    said = [(found.promise, found.where) for found in check_model(copied)]
    assert ("a card is named by its version and its moment", f"cards/{version}/seat-000009") in said
    assert f"cards/{version}/seat-000002" in [where for _, where in said]
    assert f"gate_figures/{'0' * 64}" in [where for _, where in said]
