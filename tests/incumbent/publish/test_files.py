"""Published files: plain Parquet that every reader takes, and never somebody else's."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from tests.incumbent.publish.places import KEY, predictions, read_files, scored, seen
from tests.s3_server import BUCKET

from incumbent.errors import ConfigError, UnavailableError
from incumbent.publish import files
from incumbent.publish.files import publish_to_bucket, publish_to_folder
from incumbent.store import ModelStore
from incumbent.store.s3 import S3Blobs

pytestmark = pytest.mark.unit
FILE = Path(f"partition={KEY}") / "predictions.parquet"


def test_pandas_reads_the_folder(tmp_path: Path, store: ModelStore) -> None:
    publish_to_folder(tmp_path / "lake", scored(store, 1))
    frame = pd.read_parquet(tmp_path / "lake")
    assert set(frame["partition"]) == {KEY}
    assert frame["prediction"].tolist() == predictions(1)["prediction"].to_pylist()
    assert str(frame["at"].dtype) == "datetime64[us, UTC]"
    assert not [name for name in pq.read_schema(tmp_path / "lake" / FILE).names if name == "partition"]


def test_a_file_of_somebody_else_stays(tmp_path: Path, store: ModelStore, s3_options: dict[str, str]) -> None:
    file = tmp_path / "lake" / FILE
    file.parent.mkdir(parents=True)
    pq.write_table(predictions(7), file)
    with pytest.raises(ConfigError, match="nobody has published"):
        publish_to_folder(tmp_path / "lake", scored(store, 1))
    blobs = S3Blobs(f"s3://{BUCKET}/{tmp_path.name}", s3_options)
    blobs.create(FILE.as_posix(), file.read_bytes())
    with pytest.raises(ConfigError, match="nobody has published"):
        publish_to_bucket(blobs, scored(store, 1))
    file.write_bytes(b"no parquet")
    with pytest.raises(ConfigError, match="nobody has published"):
        publish_to_folder(tmp_path / "lake", scored(store, 1))


def test_an_object_that_is_too_large_for_one_request_is_refused(
    tmp_path: Path, store: ModelStore, s3_options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LARGEST", 100)
    blobs = S3Blobs(f"s3://{BUCKET}/{tmp_path.name}", s3_options)
    with pytest.raises(ConfigError, match="too large"):
        publish_to_bucket(blobs, scored(store, 1))
    assert blobs.names() == []


def test_a_folder_that_another_attempt_holds_is_waited_for_and_then_tried_again(
    tmp_path: Path, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LOCK_S", 0.1)
    (tmp_path / FILE.parent).mkdir()
    with files._locked(tmp_path / FILE.parent), pytest.raises(UnavailableError, match="does not let go"):
        publish_to_folder(tmp_path, scored(store, 1))
    assert publish_to_folder(tmp_path, scored(store, 1)).changed


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path, store: ModelStore) -> None:
    (tmp_path / "lake").write_text("a file")
    with pytest.raises(UnavailableError, match="cannot be written") as caught:
        publish_to_folder(tmp_path / "lake", scored(store, 1))
    assert caught.value.where == str(tmp_path / "lake" / FILE)


def test_what_a_killed_attempt_left_is_gone_with_the_next(tmp_path: Path, store: ModelStore) -> None:
    publish_to_folder(tmp_path, scored(store, 1))
    left = tmp_path / FILE.parent / ".predictions.parquet.0.tmp"
    left.touch()
    publish_to_folder(tmp_path, scored(store, 2))
    assert not left.exists()
    assert read_files(tmp_path) == seen(2)
