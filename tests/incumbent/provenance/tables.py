"""Files that are dropped."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def written(file: Path, **columns: Any) -> Path:
    """Write a file of some columns, and return it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), file)
    return file
