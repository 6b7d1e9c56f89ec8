"""What a scoring job is told and what it gives: all of it lies in the store, where every node of a cluster finds it.

Pieces of a content are predicted in any order and lie under digests; the job's last word is the list of them. The
folder is no promise: the predictions that come of it are committed by the task, as any are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import incumbent
from incumbent.errors import ModelError
from incumbent.records import ModelVersion, Part, canonical_json, digest_of
from incumbent.store import ModelStore, Store
from incumbent.store.blobs import Blobs
from incumbent.store.data_files import ROW_GROUP_ROWS

FOLDER = "scoring"
ORDER, RESULT = "order.json", "result.json"
PIECES_PER_WORKER = 4  # so that the last of them is not waited for alone


@dataclass(frozen=True)
class Work:
    """A content that a version is to predict.

    Attributes:
        version: Digest of the version.
        definition: Digest of its feature definition.
        partition, features, rows: The content.
        columns: What each row is told with: keys, time, and what a rollout deals by.
        workers: Processes of one core each.
    """

    version: str
    definition: str
    partition: str
    features: str
    rows: int
    columns: tuple[str, ...]
    workers: int

    @property
    def id(self) -> str:
        """Digest of what comes out; the number of workers has no part in it."""
        return digest_of({**asdict(self), "workers": 0, "incumbent": incumbent.__version__})

    @property
    def part(self) -> Part:
        """The content."""
        return Part(self.partition, self.features, self.rows)

    def place(self, store: ModelStore) -> Blobs:
        """Return where order, pieces and result lie."""
        return store.blobs.below(f"{FOLDER}/{self.id[:32]}")

    def pieces(self) -> list[tuple[int, int]]:
        """Return the row groups of each piece, first and last but one, in order.

        >>> Work("v", "d", "2013-01", "f", 200_000, ("row",), 2).pieces()
        [(0, 1), (1, 2), (2, 3), (3, 4)]
        """
        groups = -(-self.rows // ROW_GROUP_ROWS)
        each = max(1, groups // (self.workers * PIECES_PER_WORKER))
        return [(first, min(first + each, groups)) for first in range(0, groups, each)]


def work_of(version: ModelVersion, part: Part, columns: Sequence[str], workers: int) -> Work:
    """Return the work of scoring a content."""
    return Work(version.digest, version.definition, part.partition, part.digest, part.rows, tuple(columns), workers)


def write_order(store: ModelStore, work: Work) -> str:
    """Write down what is to be scored; return what a command line says of it."""
    say(work.place(store), ORDER, {"incumbent": incumbent.__version__, **asdict(work)})
    root = store.blobs.url.removesuffix(f"/{store.name}")
    return json.dumps({"store": root, "model": store.name, "place": f"{FOLDER}/{work.id[:32]}"})


def read_order(command: str, scratch: Path) -> tuple[ModelStore, Work]:
    """Return the store and the work that a command line names.

    Args:
        command: What `write_order` returned.
        scratch: Folder of this node for what is no promise.

    Raises:
        ModelError: This node has another release, or the order is gone.
    """
    names = json.loads(command)
    store = Store.at(names["store"], scratch).model(names["model"])
    told = said(store.blobs.below(names["place"]), ORDER)
    if told is None:
        raise ModelError(
            "the order of a scoring is gone",
            where=f"{names['store']}, model {names['model']}, {names['place']}",
            expected="the order that was written before the job was submitted",
            next_step="see that every node of the cluster reaches the store at this address; clear the task",
        )
    if (release := told.pop("incumbent")) != incumbent.__version__:
        raise ModelError(
            "this node of the cluster has another release of Incumbent",
            where="the Python of the Ray job",
            expected=release,
            found=incumbent.__version__,
            next_step="install the same wheel on every node, or set INCUMBENT_RAY_PYTHON",
        )
    return store, Work(**{**told, "columns": tuple(told["columns"])})


def say(place: Blobs, name: str, plain: Mapping[str, Any]) -> None:
    """Keep a small record of a scoring."""
    place.remove(name)
    place.create(name, canonical_json(plain))


def said(place: Blobs, name: str) -> dict[str, Any] | None:
    """Return a small record of a scoring, or None."""
    try:
        plain: dict[str, Any] = json.loads(place.read(name))
    except FileNotFoundError:
        return None
    return plain
