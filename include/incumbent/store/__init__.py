"""The store: tables, records and objects below one root, behind one narrow interface."""

from incumbent.store.store import ModelStore, Store, generation_name
from incumbent.store.tables import PARTITION, Commit, Table

__all__ = ["PARTITION", "Commit", "ModelStore", "Store", "Table", "generation_name"]
