"""Every change of a store has a crash point before and after it, with nothing else in between."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.incumbent.erase.conftest import MODEL, contract_at, lived
from tests.incumbent.validate.conftest import read_here
from tests.state_changes import watched

from incumbent.erase import erase
from incumbent.store import ModelStore, Store
from incumbent.store.crash_points import around

pytestmark = pytest.mark.unit
PACKAGES = [Path(__file__).parents[3] / name for name in ("include/incumbent", "plugins/incumbent_airflow")]
NO_POINT = {
    "store/delta_log.py": "a table's log: the table has the points",
    "store/memory_log.py": "a table's log: the table has the points",
    "store/memory.py": "a blob from a file is a blob: whoever asks has the points",
    "store/place.py": "a file of a drop folder: whoever puts it there has the points",
    "store/conditional.py": "tries a place with names of its own, and takes them away",
    "train/checkpoints.py": "what a fit goes on from: without it, it begins again",
    "score/ray_order.py": "what a job is told and gives: without it, it begins again",
    "score/ray_job.py": "pieces of a scoring: without them, they are predicted again",
}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return Store(tmp_path / "store").model("small")


def test_a_life_changes_nothing_elsewhere(store: ModelStore, tmp_path: Path) -> None:
    """Deliveries, a stopped one, features, a snapshot, a seat, predictions, verdicts, an erasure."""
    with watched(tmp_path / "store") as amiss, read_here():
        lived(store, tmp_path)
        erase(store, MODEL, contract_at(tmp_path), ["customer=other-5"], "asked to")
    assert amiss == []


def test_a_change_without_a_point_of_its_own_is_found(store: ModelStore, tmp_path: Path) -> None:
    with watched(tmp_path / "store") as amiss:
        store.blobs.create("first", b"")
        store.objects.put(b"has points")
        store.blobs.create("reports/page.html", b"")
        with around("two at once"):
            store.blobs.create("second", b"")
            store.blobs.create("third", b"")
        store.blobs.path("second").write_bytes(b"changed")
    assert amiss == [
        "between the beginning and before object: small/first",
        "between before two at once and after two at once: small/second, small/third",
        "between after two at once and the end: small/second",
    ]


def test_whoever_changes_blobs_or_a_log_names_it() -> None:
    """Also where no scenario comes by."""
    nameless = {
        path.relative_to(package).as_posix(): change
        for package in PACKAGES
        for path in sorted(package.rglob("*.py"))
        for change in changes_without_point(ast.parse(path.read_text()))
    }
    assert {where: change for where, change in nameless.items() if where not in NO_POINT} == {}
    assert set(nameless) == set(NO_POINT), "an exception that nobody needs"


def changes_without_point(node: ast.AST) -> Iterator[str]:
    """Yield the calls below a node that change a blob or a log and are not inside `with around(…)`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.With) and any(
            ast.unparse(item.context_expr).startswith("around(") for item in child.items
        ):
            continue
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute):
            owner, _, method = ast.unparse(child.func).rpartition(".")
            if (
                method in ("create", "create_from", "replace_from", "put_if")
                or (method == "remove" and owner.endswith("blobs"))
                or (method in ("make", "commit") and owner.endswith("log"))
            ):
                yield ast.unparse(child)
        yield from changes_without_point(child)
