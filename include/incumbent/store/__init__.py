"""The store: tables, records and objects below one root, behind one narrow interface."""

from incumbent.store.log import PARTITION
from incumbent.store.store import ModelStore, Store, generation_name
from incumbent.store.tables import Commit, Table

__all__ = ["PARTITION", "Commit", "ModelStore", "Store", "Table", "generation_name"]
