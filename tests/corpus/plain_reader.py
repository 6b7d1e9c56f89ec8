"""Read a Parquet file with one bit flipped as any program does, without checksums and digests.

Run as a script with the file's path and the bits' places on standard input. Prints a word for each: the values are the
`same`, are `other` ones, or reading ended with an `error`.
"""

import os
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tests.corpus.makers import flip

from incumbent.admit.child import limit


def read(content: bytes) -> pa.Table:
    return pq.read_table(pa.BufferReader(content), use_threads=False)


def main(path: str) -> None:
    whole = Path(path).read_bytes()
    rows = read(whole)
    limit(2**31)  # a bit of a length may ask for everything
    for at in map(int, sys.stdin.read().split()):
        try:
            word = "same" if read(flip(whole, at)).equals(rows) else "other"
        except (pa.ArrowException, OSError, ValueError, MemoryError):
            word = "error"
        sys.stdout.write(f"{word}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
    os._exit(0)  # Arrow ends a process whose threads met a broken file
