"""Open an ONNX model and predict with it; as a script, do so in a process of its own, which it may take with it.

`python -I onnx_session.py [TASK CLASSES ROWS.npy] < model.onnx` ends with 0 if the model can be used. It imports
nothing of Incumbent: in isolation the child does not know where that is.
"""

from __future__ import annotations

import sys
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

NAMES = ("prediction", "probabilities")  # which of several outputs is meant
NEAR = 1e-3  # how near to 1 probabilities of a row sum before they are made to
ELSEWHERE = b"\x0a\x08location"  # how a tensor begins to say which other file its numbers lie in


def opened(data: bytes) -> Any:
    """Return a session over a model file.

    Raises:
        ValueError: It cannot be parsed, or is no model of one matrix to one prediction a row.
    """
    if ELSEWHERE in data:
        raise ValueError("its weights lie in another file: export them into the model")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # each kind is a class of its own without a base in common
        raise ValueError(" ".join(str(error).split())[:300]) from error
    columns_of(session)
    output_of(session)
    return session


def columns_of(session: Any) -> int:
    """Return how many columns the matrix has that a model takes.

    Raises:
        ValueError: It takes something else.
    """
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 2:
        found = ", ".join(f"{each.name}: {each.type} {each.shape}" for each in inputs)
        raise ValueError(f"it takes {found or 'nothing'}, not one float matrix of shape [rows, features]")
    rows, columns = inputs[0].shape
    if isinstance(rows, int):
        raise ValueError(f"it takes {rows} rows at a time: export it with a free number of rows")
    return int(columns) if isinstance(columns, int) else 0


def output_of(session: Any) -> str:
    """Return the output that is the prediction: the only one, or the one that is called so.

    Raises:
        ValueError: There are several, and none has the name.
    """
    outputs = {each.name: each.type for each in session.get_outputs()}
    name = next(iter(outputs)) if len(outputs) == 1 else next((each for each in NAMES if each in outputs), "")
    if outputs.get(name, "") not in ("tensor(float)", "tensor(double)"):
        found = ", ".join(f"{each}: {kind}" for each, kind in outputs.items())
        raise ValueError(f"it gives {found}, and no tensor of floats called {' or '.join(NAMES)}")
    return name


def predictions(session: Any, matrix: npt.NDArray[np.float32], classes: int = 0) -> npt.NDArray[np.float64]:
    """Return one prediction per row, shape (n_rows,); of two columns the second, which is the one of class 1.

    With several classes the probability of each, shape (n_rows, n_classes).

    Raises:
        ValueError: It cannot take the rows, or gives another shape, or no probabilities of classes.
    """
    values = outputs_of(session, matrix)
    fitting = ((len(matrix), classes),) if classes else ((len(matrix),), (len(matrix), 1), (len(matrix), 2))
    if values.shape not in fitting:
        raise ValueError(f"of {len(matrix)} rows it makes predictions of shape {values.shape}")
    if not classes:
        return values.reshape(len(matrix), -1)[:, -1]
    sums = values.sum(axis=1)
    if bool((values < 0).any()) or bool((np.abs(sums - 1) > NEAR).any()):
        raise ValueError(
            f"probabilities from {values.min():g} on, whose sums over a row are {sums.min():g} to {sums.max():g}"
        )
    shares: npt.NDArray[np.float64] = values / sums[:, None]
    return shares


def outputs_of(session: Any, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return what a model says of some rows, in whatever shape.

    Raises:
        ValueError: It cannot take the rows.
    """
    try:
        (found,) = session.run([output_of(session)], {session.get_inputs()[0].name: matrix})
    except Exception as error:
        raise ValueError(" ".join(str(error).split())[:300]) from error
    return np.asarray(found, dtype=np.float64)


def check_predictions(session: Any, task: str, matrix: npt.NDArray[np.float32], classes: int = 0) -> None:
    """Refuse a model whose predictions could not be scored with, on some rows and on one without any value.

    Raises:
        ValueError: Why.
    """
    nothing = np.full((1, matrix.shape[1]), np.nan, dtype=np.float32)
    for rows, which in ((matrix, "training rows"), (nothing, "a row that has no value, as null and unseen levels are")):
        values = predictions(session, rows, classes)
        if bad := int((~np.isfinite(values)).sum()):
            raise ValueError(f"{bad} of {len(values)} predictions are not finite, of {which}")
        if task == "binary" and bool(((values < 0) | (values > 1)).any()):
            raise ValueError(f"predictions from {values.min():g} to {values.max():g} are no probabilities, of {which}")


def main(task: str = "", classes: str = "0", rows: str = "") -> int:
    """Return 0 if the model on standard input can be used; else say why not."""
    try:
        session = opened(sys.stdin.buffer.read())
        if rows:
            with open(rows, "rb") as file:  # noqa: PTH123 - the fewer imports the sooner
                check_predictions(session, task, np.load(BytesIO(file.read())), int(classes))
        else:
            outputs_of(session, np.zeros((2, columns_of(session) or 1), dtype=np.float32))
    except ValueError as error:
        sys.stderr.write(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
