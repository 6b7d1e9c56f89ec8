"""Parse a model file in a process of its own: `python first_parse.py LIBXGBOOST < model.ubj`.

A script and not an import: through ctypes it starts in a fraction of the seconds that importing
XGBoost's Python package takes, and a fork would inherit OpenMP's locks without its threads.
"""

import ctypes
import sys


def main(library: str) -> int:
    """Return 0 when XGBoost's own parser accepts the bytes on standard input."""
    xgboost = ctypes.CDLL(library)
    data = sys.stdin.buffer.read()
    handle = ctypes.c_void_p()
    if xgboost.XGBoosterCreate(None, ctypes.c_uint64(0), ctypes.byref(handle)):
        return 3
    buffer = ctypes.create_string_buffer(data, len(data))
    return 1 if xgboost.XGBoosterLoadModelFromBuffer(handle, buffer, ctypes.c_uint64(len(data))) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
