"""A place that lets the last writer win is refused."""

from pathlib import Path
from typing import Any

import pytest
from tests.s3_server import BUCKET

from incumbent.errors import StoreError, UnavailableError
from incumbent.store.blobs import Blobs
from incumbent.store.conditional import check_conditional_writes
from incumbent.store.s3 import S3Blobs

pytestmark = pytest.mark.unit


def test_every_place_of_ours_keeps_it_and_nothing_is_left_there(blobs: Blobs) -> None:
    check_conditional_writes(blobs)
    assert blobs.names() == []


def test_a_server_that_ignores_the_condition_is_refused(s3_options: dict[str, str], tmp_path: Path) -> None:
    blobs = S3Blobs(f"s3://{BUCKET}/{tmp_path.name}", s3_options)

    def forget(request: Any, **_: Any) -> None:
        del request.headers["If-None-Match"]

    blobs.client.meta.events.register("before-send.s3.PutObject", forget)
    with pytest.raises(StoreError, match="conditional writes do not hold") as caught:
        check_conditional_writes(blobs)
    assert (caught.value.where, blobs.names()) == (blobs.url, [])


def test_a_bucket_that_is_not_there_is_named(s3_options: dict[str, str]) -> None:
    with pytest.raises(StoreError, match="NoSuchBucket") as caught:
        check_conditional_writes(S3Blobs("s3://nowhere/x", s3_options))
    assert caught.value.where.startswith("s3://nowhere/x/")
    assert s3_options["secret"] not in str(caught.value)


def test_a_server_that_is_away_may_be_asked_again(s3_options: dict[str, str]) -> None:
    with pytest.raises(UnavailableError, match="does not answer"):
        check_conditional_writes(S3Blobs(f"s3://{BUCKET}/x", s3_options | {"endpoint": "http://127.0.0.1:9"}))
