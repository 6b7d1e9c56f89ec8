"""Keys of rows as one text each: what published answers are found by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from incumbent.admit.columns import ARROW_TYPES
from incumbent.config import Model
from incumbent.store import ModelStore
from incumbent.store.salt import NAME as SALT
from incumbent.store.salt import pseudonyms, salt
from incumbent.validate.contract import SourceContract

BETWEEN = "/"


class Keys:
    """How the keys of a model's rows are written.

    Args:
        store: The model's store.
        model: Its configuration.
        contract: Contract of its batch source.
    """

    def __init__(self, store: ModelStore, model: Model, contract: SourceContract) -> None:
        self.columns = tuple(model.keys)
        self._types = {name: ARROW_TYPES[contract.columns[name].dtype] for name in model.keys}
        self._hashed = {name for name in model.keys if contract.columns[name].hashed}
        # Asked for where there is none, a new salt would be made: nothing that is stored was hashed with it.
        self._secret = salt(store.blobs) if self._hashed and store.blobs.has(SALT) else b""

    def stored(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Return a key's values as the texts of what is stored: a pseudonym where the column is hashed."""
        return {name: self._stored(name, values[name]) for name in self.columns}

    def _stored(self, name: str, value: Any) -> str:
        if name in self._hashed:
            return pseudonyms(self._secret, [value])[0]
        if type(value) in (int, str):
            return str(value)
        return str(pa.scalar(value, self._types[name]).cast(pa.string()).as_py())

    def text(self, stored: Mapping[str, str]) -> str:
        """Return the one text of a key, the same as `texts` gives of its row."""
        return BETWEEN.join(f"{len(stored[name].encode())}:{stored[name]}" for name in self.columns)

    def texts(self, rows: pa.RecordBatch) -> pa.Array:
        """Return the text of each row's key; each value with its length before it, so that no two keys look alike."""
        said = []
        for name in self.columns:
            value = rows.column(name).cast(pa.string())
            said.append(pc.binary_join_element_wise(pc.binary_length(value).cast(pa.string()), value, ":"))
        return pc.binary_join_element_wise(*said, BETWEEN) if len(said) > 1 else said[0]
