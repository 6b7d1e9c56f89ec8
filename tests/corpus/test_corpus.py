"""Every bad file is refused for the right reason and nothing is committed; every benign one is accepted whole."""

import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.corpus.bad import BAD, BATCH, Bad
from tests.corpus.benign import BENIGN, Benign
from tests.corpus.makers import parquet
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
# A process counts its largest child: started from the test itself, that child is a copy of the test for a moment.
LAUNCHER = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "incumbent.admit.child", sys.argv[1]], stdout=subprocess.DEVNULL, timeout=60)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return Store(tmp_path / "store").model("corpus")


def draw(name: str, variant: int = 0) -> np.random.Generator:
    return np.random.default_rng([SEED, zlib.crc32(name.encode()), variant])


def write(folder: Path, ending: str, content: bytes) -> Path:
    path = folder / f"{KEY}.{ending}"
    path.write_bytes(content)
    return path


def deliver(store: ModelStore, path: Path, **policy: object) -> Ingest:
    return ingest(store, model(), contract(**policy), "events", KEY, path)


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len({bad.name for bad in BAD + BATCH}) >= 60
    assert len(BAD + BATCH) * VARIANTS >= 300
    assert len({each.name for each in BENIGN}) >= 60
    assert {bad.reason for bad in BAD + BATCH} >= set(Reason) - {
        Reason.NOT_FOUND, Reason.COPY, Reason.OUT_OF_TIME, Reason.CRASHED, Reason.RULE, Reason.EXPECTATION,
        Reason.STALE, Reason.UNUSUAL,
    }, "the others have tests of their own"  # fmt: skip


@pytest.mark.parametrize("bad", BAD + BATCH, ids=lambda bad: bad.name)
def test_a_bad_file_is_refused_for_its_reason(store: ModelStore, tmp_path: Path, bad: Bad) -> None:
    for variant in range(VARIANTS):
        content = bad.make(draw(bad.name, variant))
        found = deliver(store, write(tmp_path, bad.ending, content), **bad.policy)
        assert (found.verdict, found.reason, found.rows) == ("stopped", bad.reason, 0), (variant, found.message)
        assert store.batches("events").parts() == store.quarantine("events").parts() == {}
        if bad.reason != Reason.TOO_LARGE:
            assert store.objects.get(found.raw_digest) == content, "nothing is lost"
        assert "next: " in found.message or "Stopped: " in found.message


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_bad_file_takes_little_memory(tmp_path: Path, bad: Bad) -> None:
    path = write(tmp_path, bad.ending, bad.make(draw(bad.name)))
    command = [sys.executable, "-c", LAUNCHER, order_of(path, contract(**bad.policy)).to_json()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert int(done.stdout) <= MAX_MB


@pytest.mark.parametrize("benign", BENIGN, ids=lambda benign: benign.name)
def test_a_benign_file_is_accepted_whole(store: ModelStore, tmp_path: Path, benign: Benign) -> None:
    rows = good(rng := draw(benign.name))
    found = deliver(store, write(tmp_path, benign.ending, benign.write(rows, rng)), **benign.policy)
    assert (found.verdict, found.quarantined, found.failures) == ("accepted", 0, {}), found.message
    wanted = rows.sort_by("row").to_pydict()
    if benign.ending == "csv":  # which has one way to write an empty text and no text
        wanted["note"] = [note or None for note in wanted["note"]]
    assert store.batches("events").read([KEY]).drop_columns(["partition"]).to_pydict() == wanted


def test_no_file_and_a_folder_are_not_found(store: ModelStore, tmp_path: Path) -> None:
    (tmp_path / f"{KEY}.parquet").mkdir()
    for path in (tmp_path / "none.parquet", tmp_path / f"{KEY}.parquet"):
        with pytest.raises(BatchError) as caught:
            deliver(store, path)
        assert caught.value.reason == Reason.NOT_FOUND


def test_the_same_rows_in_another_layout_are_the_same_content(store: ModelStore, tmp_path: Path) -> None:
    rows = good(rng := draw("layouts"))
    digests = set()
    for benign in (
        each for each in BENIGN if each.ending == "parquet" and each.name.startswith(("other", "polars", "DuckDB"))
    ):
        digests.add(deliver(store, write(tmp_path, "parquet", benign.write(rows, rng))).digest)
    assert len(digests) == 1


def test_a_reader_that_dies_takes_only_itself(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "parquet", parquet(good(draw("dies"))))
    monkeypatch.setattr(read, "COMMAND", ("-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"))
    found = deliver(store, path)
    assert (found.verdict, found.reason) == ("stopped", Reason.CRASHED)
    assert "signal 11" in found.message


def test_a_reader_that_never_ends_is_killed(store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "parquet", parquet(good(draw("hangs"))))
    script = "from incumbent.admit.child import limit\nlimit(2**30, 1)\nwhile True: pass"
    monkeypatch.setattr(read, "COMMAND", ("-c", script))
    found = deliver(store, path)
    assert (found.verdict, found.reason) == ("stopped", Reason.OUT_OF_TIME)


@pytest.mark.parametrize("ending", ["os.kill(os.getpid(), 9)", "os.kill(os.getpid(), 15)", "time.sleep(600)"])
def test_a_reader_that_is_ended_from_outside_condemns_no_file(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    path = write(tmp_path, "parquet", parquet(good(draw("ended"))))
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


def test_one_flipped_bit_never_changes_a_stored_row(store: ModelStore, tmp_path: Path) -> None:
    """Flipped anywhere in the stored file, a bit is an error and never another value."""
    deliver(store, write(tmp_path, "parquet", parquet(good(rng := draw("flips"), 500))))
    table = store.batches("events")
    (name,) = [name for name in table.blobs.names() if name.endswith(".parquet")]
    whole = table.blobs.read(name)
    flips = int(os.environ.get("CORPUS_FLIPS", "300"))
    for at in rng.integers(0, len(whole) * 8, flips):
        broken = bytearray(whole)
        broken[int(at) // 8] ^= 1 << int(at) % 8
        table.blobs.path(name).write_bytes(broken)  # type: ignore[attr-defined]
        blobs._VERIFIED.clear()
        with pytest.raises(StoreError, match="has changed"):
            table.read([KEY])
    assert digest_of(whole) == name.rpartition("/")[2].removesuffix(".parquet")
