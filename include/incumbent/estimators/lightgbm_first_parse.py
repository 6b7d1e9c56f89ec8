"""Parse a model file in a process of its own: `python lightgbm_first_parse.py LIBLIGHTGBM < model.txt`.

A script and not an import: see `first_parse.py`. It predicts a few rows too, for a tree whose branches lead in a circle
or out of it parses well.
"""

import ctypes
import sys

VALUES = (0.0, float("nan"), 1e30, -1e30)


def main(library: str) -> int:
    """Return 0 when LightGBM's own parser accepts the bytes on standard input, and predicts with them."""
    lightgbm = ctypes.CDLL(library)
    data = sys.stdin.buffer.read()
    if not data.startswith(b"tree\n"):
        return 4  # LightGBM ends the process over other beginnings, or takes them for a model without trees
    handle, rounds, columns, length = ctypes.c_void_p(), ctypes.c_int(), ctypes.c_int(), ctypes.c_int64()
    if lightgbm.LGBM_BoosterLoadModelFromString(data, ctypes.byref(rounds), ctypes.byref(handle)):
        return 1
    if rounds.value < 1 or lightgbm.LGBM_BoosterGetNumFeature(handle, ctypes.byref(columns)):
        return 2
    values = [value for value in VALUES for _ in range(columns.value)]
    rows, found = (ctypes.c_double * len(values))(*values), (ctypes.c_double * len(VALUES))()
    double, by_row, margin = 1, 1, 1
    failed = lightgbm.LGBM_BoosterPredictForMat(
        handle, rows, double, len(VALUES), columns, by_row, margin, 0, -1, b"num_threads=1", ctypes.byref(length),
        found,
    )  # fmt: skip
    return 3 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
