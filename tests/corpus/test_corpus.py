"""Every bad file is refused for the right reason and nothing is committed; every benign one is accepted whole."""

import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from tests.corpus.bad import BAD, BATCH, Bad
from tests.corpus.benign import BENIGN, Benign
from tests.corpus.makers import PAYLOAD, draw, extension, flip, parquet, pickled
from tests.corpus.rows import KEY, contract, good, model

from incumbent.admit import read
from incumbent.admit.order import Reason
from incumbent.errors import BatchError, StoreError, UnavailableError
from incumbent.records import Ingest, digest_of
from incumbent.store import ModelStore, Store, blobs
from incumbent.validate import ingest
from incumbent.validate.admission import order_of

pytestmark = pytest.mark.unit

SEED = int(os.environ.get("CORPUS_SEED", "7"), 16)  # in CI the commit: each has variants of its own
VARIANTS = 5
MAX_MB = 512
MAX_SAID = 2000
# A process counts its largest child: started from the test itself, that child is a copy of the test for a moment.
LAUNCHER = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "incumbent.admit.child", sys.argv[1]], stdout=subprocess.DEVNULL, timeout=60)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return Store(tmp_path / "store").model("corpus")


def write(folder: Path, ending: str, content: bytes) -> Path:
    path = folder / f"{KEY}.{ending}"
    path.write_bytes(content)
    return path


def deliver(store: ModelStore, path: Path, **policy: object) -> Ingest:
    return ingest(store, model(), contract(**policy), "events", KEY, path)


def assert_refused(store: ModelStore, folder: Path, bad: Bad, variants: int) -> None:
    for variant in range(variants):
        content = bad.make(draw(SEED, bad.name, variant))
        found = deliver(store, write(folder, bad.ending, content), **bad.policy)
        assert (found.verdict, found.reason, found.rows) == ("stopped", bad.reason, 0), (variant, found.message)
        assert store.batches("events").parts() == store.quarantine("events").parts() == {}
        if bad.reason != Reason.TOO_LARGE:
            assert store.objects.get(found.raw_digest) == content, "nothing is lost"
        assert "next: " in found.message or "Stopped: " in found.message
        assert len(found.message) <= MAX_SAID, "a megabyte of a name is not repeated"


def assert_accepted(store: ModelStore, folder: Path, benign: Benign) -> None:
    rows = benign.rows(rng := draw(SEED, benign.name))
    found = deliver(store, write(folder, benign.ending, benign.write(rows, rng)), **benign.policy)
    assert (found.verdict, found.quarantined, found.failures) == ("accepted", 0, {}), found.message
    stored = store.batches("events").read([KEY]).drop_columns(["partition"])
    rows = rows.sort_by("row")
    wanted = rows.to_pydict()
    if benign.ending == "csv":  # which has one way to write an empty text and no text
        wanted["note"] = [note or None for note in wanted["note"]]
    assert stored.to_pydict() == wanted
    assert stored["x"].to_numpy().tobytes() == rows["x"].to_numpy().tobytes(), "0.0 and -0.0 are equal, not the same"


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len({bad.name for bad in BAD + BATCH}) >= 60
    files = {digest_of(bad.make(draw(SEED, bad.name, variant))) for bad in BAD + BATCH for variant in range(VARIANTS)}
    assert len(files) >= 300, "different ones: no bytes are no bytes in each variant"
    assert len({each.name for each in BENIGN}) >= 60
    assert {bad.reason for bad in BAD + BATCH} >= set(Reason) - {
        Reason.NOT_FOUND, Reason.COPY, Reason.OUT_OF_TIME, Reason.CRASHED, Reason.RULE, Reason.EXPECTATION,
        Reason.STALE, Reason.UNUSUAL,
    }, "the others have tests of their own"  # fmt: skip


@pytest.mark.parametrize("bad", BAD + BATCH, ids=lambda bad: bad.name)
def test_a_bad_file_is_refused_for_its_reason(store: ModelStore, tmp_path: Path, bad: Bad) -> None:
    assert_refused(store, tmp_path, bad, VARIANTS)


@pytest.mark.slow
@pytest.mark.parametrize("any_store", ["bucket"], indirect=True)
@pytest.mark.parametrize("bad", BAD + BATCH, ids=lambda bad: bad.name)
def test_a_bad_file_is_refused_on_s3_too(any_store: Store, tmp_path: Path, bad: Bad) -> None:
    assert_refused(any_store.model("corpus"), tmp_path, bad, 1)


@pytest.mark.parametrize("bad", BAD + BATCH, ids=lambda bad: bad.name)
def test_a_bad_file_takes_little_memory(tmp_path: Path, bad: Bad) -> None:
    """Of the process that reads it, which is the one that a file can fill; `make bench ONLY=corpus` measures both."""
    path = write(tmp_path, bad.ending, bad.make(draw(SEED, bad.name)))
    command = [sys.executable, "-c", LAUNCHER, order_of(path, contract(**bad.policy)).to_json()]
    environment = os.environ | read.LEAN  # without it that process dies of its limit before it takes what it may
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=environment)
    assert int(done.stdout) <= MAX_MB


@pytest.mark.parametrize("benign", BENIGN, ids=lambda benign: benign.name)
def test_a_benign_file_is_accepted_whole(store: ModelStore, tmp_path: Path, benign: Benign) -> None:
    assert_accepted(store, tmp_path, benign)


@pytest.mark.slow
@pytest.mark.parametrize("any_store", ["bucket"], indirect=True)
@pytest.mark.parametrize("benign", BENIGN, ids=lambda benign: benign.name)
def test_a_benign_file_is_accepted_whole_on_s3_too(any_store: Store, tmp_path: Path, benign: Benign) -> None:
    assert_accepted(any_store.model("corpus"), tmp_path, benign)


def test_a_pickled_payload_is_never_run(store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    canary = tmp_path / "canary"
    for make in (extension, pickled):
        for variant in range(VARIANTS):
            deliver(store, write(tmp_path, "parquet", make(draw(SEED, "canary", variant))))
            assert not canary.exists()
    noted = good(draw(SEED, "canary")).replace_schema_metadata({"pandas": PAYLOAD, "payload": PAYLOAD})
    assert deliver(store, write(tmp_path, "parquet", parquet(noted))).verdict == "accepted", "it is only text there"
    assert not canary.exists()
    pickle.loads(PAYLOAD)  # noqa: S301 - to see that it would have run
    assert canary.exists()


def test_no_file_and_a_folder_are_not_found(store: ModelStore, tmp_path: Path) -> None:
    (tmp_path / f"{KEY}.parquet").mkdir()
    for path in (tmp_path / "none.parquet", tmp_path / f"{KEY}.parquet"):
        with pytest.raises(BatchError) as caught:
            deliver(store, path)
        assert caught.value.reason == Reason.NOT_FOUND


def test_the_same_rows_in_another_layout_are_the_same_content(store: ModelStore, tmp_path: Path) -> None:
    rows = good(rng := draw(SEED, "layouts"))
    digests = set()
    for benign in (
        each for each in BENIGN if each.ending == "parquet" and each.name.startswith(("other", "polars", "DuckDB"))
    ):
        digests.add(deliver(store, write(tmp_path, "parquet", benign.write(rows, rng))).digest)
    assert len(digests) == 1


def test_a_reader_that_dies_takes_only_itself(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "parquet", parquet(good(draw(SEED, "dies"))))
    monkeypatch.setattr(read, "COMMAND", ("-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"))
    found = deliver(store, path)
    assert (found.verdict, found.reason) == ("stopped", Reason.CRASHED)
    assert "signal 11" in found.message


def test_a_reader_that_never_ends_is_killed(store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "parquet", parquet(good(draw(SEED, "hangs"))))
    script = "from incumbent.admit.child import limit\nlimit(2**30, 1)\nwhile True: pass"
    monkeypatch.setattr(read, "COMMAND", ("-c", script))
    found = deliver(store, path)
    assert (found.verdict, found.reason) == ("stopped", Reason.OUT_OF_TIME)


@pytest.mark.parametrize("ending", ["os.kill(os.getpid(), 9)", "os.kill(os.getpid(), 15)", "time.sleep(600)"])
def test_a_reader_that_is_ended_from_outside_condemns_no_file(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    path = write(tmp_path, "parquet", parquet(good(draw(SEED, "ended"))))
    with monkeypatch.context() as patch:
        patch.setattr(read, "COMMAND", ("-c", f"import os, time; {ending}"))
        patch.setattr(read, "PATIENCE", 0.01)
        with pytest.raises(UnavailableError, match="from outside"):
            deliver(store, path)
    assert deliver(store, path).verdict == "accepted"


def test_the_reader_gets_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    told = tmp_path / "environment"
    script = f"import os; open({str(told)!r}, 'w').write(repr(dict(os.environ)))"
    monkeypatch.setattr(read, "COMMAND", ("-c", script))
    with pytest.raises(pa.ArrowInvalid), read.admitted(order_of(tmp_path, contract())) as found:
        found.rows.read_all()
    assert "canary" not in told.read_text()


@pytest.mark.parametrize("flips", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_one_flipped_bit_never_changes_a_stored_row(store: ModelStore, tmp_path: Path, flips: int) -> None:
    """Flipped anywhere in the stored file, a bit is an error; a plain reader finds other values and says nothing."""
    deliver(store, write(tmp_path, "parquet", parquet(good(rng := draw(SEED, "flips"), 500))))
    table = store.batches("events")
    (name,) = [name for name in table.blobs.names() if name.endswith(".parquet")]
    whole = table.blobs.read(name)
    assert digest_of(whole) == name.rpartition("/")[2].removesuffix(".parquet")
    places = rng.integers(0, len(whole) * 8, flips).tolist()
    for at in places:
        table.blobs.path(name).write_bytes(flip(whole, at))  # type: ignore[attr-defined]
        blobs._VERIFIED.clear()
        with pytest.raises(StoreError, match="has changed"):
            table.read([KEY])
    found = read_plainly(write(tmp_path, "parquet", whole), places)
    assert found["other"] > found.total() / 2, f"why digests are verified: {found}"


def read_plainly(path: Path, places: list[int]) -> Counter[str]:
    """Count what a program finds that reads the file with each of these bits flipped: it may die of one."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.corpus.plain_reader", str(path)],
        input="\n".join(map(str, places)), capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    return Counter(done.stdout.split())
