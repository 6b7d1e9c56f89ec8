"""What every test stands on: no telemetry, no proxy, and an Airflow home of its own."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from incumbent.store import Store

ROOT = Path(__file__).parents[1]

# Before anything imports Airflow: it reads its settings at import.
os.environ.update(
    AIRFLOW_HOME=tempfile.mkdtemp(prefix="incumbent-airflow-"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
    INCUMBENT_ROOT=str(ROOT),
    GX_ANALYTICS_ENABLED="false",
    MLFLOW_DISABLE_TELEMETRY="true",
    RAY_USAGE_STATS_ENABLED="0",
    DO_NOT_TRACK="1",
)


class TogetherByFixture(LoadScopeScheduling):
    """Gives one process the stack's tests, in their order, and each other file as a whole."""

    def _split_scope(self, nodeid: str) -> str:
        return "stack" if nodeid.startswith("tests/integration/") else nodeid.partition("::")[0]


# Not `--dist loadgroup`: with pytest 9.2 it groups nothing, without a word (pytest-dev/pytest-xdist#1386).
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> TogetherByFixture:
    """Replace the scheduler of `--numprocesses`."""
    return TogetherByFixture(config, log)


# What they test does not depend on the place, or is made of what others test there.
ON_S3_WITH_THE_SLOW = (
    "tests/incumbent/validate/test_contract_diff.py",
    "tests/incumbent/validate/test_docs.py",
    "tests/incumbent/validate/test_policies.py",
    "tests/incumbent/validate/test_row_rules.py",
    "tests/incumbent/validate/test_rules.py",
    "tests/incumbent_airflow/test_approved.py",
    "tests/incumbent_airflow/test_stages.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes longest first, and leave some of what runs on S3 to `make test-all`: contributors wait for it."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/integration/"))
    for item in items:
        if "[bucket" in item.nodeid and item.nodeid.startswith(ON_S3_WITH_THE_SLOW):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def s3_options(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """How to reach an S3 server that runs while the tests do."""
    from tests.s3_server import s3_server

    with s3_server(tmp_path_factory.mktemp("s3") / "log") as options:
        yield options


@pytest.fixture(params=["folder", "bucket"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> "Store":
    """An empty store in each place that a user may choose."""
    from tests.s3_server import BUCKET

    from incumbent.store import Store

    if request.param == "folder":
        return Store(tmp_path / "store")
    return Store.at(f"s3://{BUCKET}/{tmp_path.name}", tmp_path / "work", request.getfixturevalue("s3_options"))
