"""The card of a version that has lived, and the evidence behind it: from its records alone, and the same each time."""

import json
from pathlib import Path

import pytest
from lived import lived, opened

from incumbent.card import keep
from incumbent.card.known import Known
from incumbent.cli.main import FINE, USAGE, main
from incumbent.evaluate.figures import GateFigures
from incumbent.provenance.version import find
from incumbent.records import GateReport, ModelVersion
from incumbent.store.check import check_model
from incumbent_airflow import stages
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
    stages.write_card(runtime, version.digest, 2)
    assert page.read_bytes() == before
    assert len(store.records.names("cards", f"{version.digest}/")) == 2


def test_a_card_that_cannot_be_written_stops_nothing(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keep, "document", lambda *_, **__: 1 / 0)
    other = next(each for each in runtime.store.records.all(ModelVersion))
    stages.write_card(runtime, other.digest, 999)
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
