"""Parse a model file in a process of its own: `python lightgbm_first_parse.py LIBLIGHTGBM < model.txt`.

A script and not an import: see `first_parse.py`. It also has LightGBM walk down each tree, as writing it as JSON does:
a tree whose branches lead in a circle, or out of it, parses well. And it reads the parameters that the file repeats:
the Python package wants them as JSON, which LightGBM makes of them without a look at what they are.
"""

import ctypes
import json
import sys


def main(library: str) -> int:
    """Return 0 when LightGBM's own parser accepts the bytes on standard input, and can walk down what they are."""
    lightgbm = ctypes.CDLL(library)
    data = sys.stdin.buffer.read()
    handle, rounds, length = ctypes.c_void_p(), ctypes.c_int(), ctypes.c_int64()
    if lightgbm.LGBM_BoosterLoadModelFromString(data, ctypes.byref(rounds), ctypes.byref(handle)):
        return 1
    no_room = ctypes.create_string_buffer(1)
    if rounds.value < 1 or lightgbm.LGBM_BoosterDumpModel(
        handle, 0, -1, 0, ctypes.c_int64(0), ctypes.byref(length), no_room
    ):
        return 2
    lightgbm.LGBM_BoosterGetLoadedParam(handle, ctypes.c_int64(0), ctypes.byref(length), no_room)
    parameters = ctypes.create_string_buffer(length.value)
    if lightgbm.LGBM_BoosterGetLoadedParam(handle, length, ctypes.byref(length), parameters):
        return 3
    json.loads(parameters.value.decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
