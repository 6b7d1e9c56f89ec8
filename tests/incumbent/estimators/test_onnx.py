"""ONNX files of any framework are tried before they are used, and say what their numbers mean."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper, numpy_helper

from incumbent.errors import ModelError
from incumbent.estimators import onnx as estimator
from incumbent.estimators import onnx_session
from incumbent.estimators.encoding import Encoder
from incumbent.records import ModelVersion, digest_of

pytestmark = pytest.mark.unit
ROWS = pa.table({"n": [1.0, None, 3.0, -2.0] * 50, "t": ["ü", "a", None, "new"] * 50})
DEFINITION = "d" * 200
ENCODER = Encoder(("n", "t"), {"t": ("a", "ü")})


def model_of(
    nodes: list[Any] | None = None,
    takes: list[Any] | None = None,
    gives: dict[str, Any] | None = None,
    weights: list[Any] | None = None,
) -> bytes:
    """Return the model sigmoid(x · (0.5, -1)) with nothing for NaN, or another one."""
    if nodes is None:
        nodes = [
            helper.make_node("IsNaN", ["x"], ["gone"]),
            helper.make_node("Where", ["gone", "zero", "x"], ["there"]),
            helper.make_node("MatMul", ["there", "w"], ["margin"]),
            helper.make_node("Sigmoid", ["margin"], ["prediction"]),
        ]
    if weights is None:
        weights = [
            numpy_helper.from_array(np.array([[0.5], [-1.0]], np.float32), "w"),
            numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
        ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, takes or ["rows", 2])],
        [
            helper.make_tensor_value_info(name, kind, None if gives else ["rows", 1])
            for name, kind in (gives or {"prediction": TensorProto.FLOAT}).items()
        ],
        weights,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return bytes(made.SerializeToString())


def sealed(data: bytes) -> tuple[bytes, ModelVersion]:
    data = estimator.save(data, ENCODER, DEFINITION, "s")
    version = ModelVersion(
        digest_of(data),
        "m",
        "onnx",
        "binary",
        DEFINITION,
        "s",
        ENCODER.features,
        ENCODER.categories,
        {},
        1,
        200,
        "",
        {},
    )
    return data, version


def test_a_sealed_model_is_onnx_and_predicts_what_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    data, version = sealed(model_of())
    onnx.checker.check_model(onnx.load_from_string(data))
    session = estimator.load(data, version)
    found = estimator.predict(session, version, ROWS)
    matrix = np.nan_to_num(ENCODER.matrix(ROWS))
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-(matrix @ [0.5, -1.0]))), atol=1e-6)
    monkeypatch.setattr(estimator, "BATCH_ROWS", 7)
    np.testing.assert_array_equal(estimator.predict(session, version, ROWS.select(["t", "n"])), found)
    assert len(estimator.predict(session, version, ROWS.slice(0, 0))) == 0


def test_the_file_names_vocabulary_definition_and_snapshot() -> None:
    data, version = sealed(model_of())
    for other in ({"categories": {"t": ("b", "ü")}}, {"definition": "e"}, {"snapshot": "t"}):
        with pytest.raises(ModelError, match="something else than the model file"):
            estimator.load(data, ModelVersion(**{**vars(version), **other}))


def test_of_two_columns_the_second_is_the_prediction_and_of_several_outputs_the_named_one() -> None:
    two = [
        helper.make_node("Identity", ["x"], ["probabilities"]),
        helper.make_node("ArgMax", ["x"], ["label"], axis=1, keepdims=0),
    ]
    data = model_of(two, gives={"label": TensorProto.INT64, "probabilities": TensorProto.FLOAT}, weights=[])
    matrix = np.array([[0.1, 0.9], [0.7, 0.3]], np.float32)
    np.testing.assert_allclose(onnx_session.predictions(onnx_session.opened(data), matrix), [0.9, 0.3], atol=1e-6)


def test_an_explanation_is_refused() -> None:
    data, version = sealed(model_of())
    with pytest.raises(ModelError, match="an ONNX model is not explained"):
        estimator.explain(estimator.load(data, version), version, ROWS)


def outside() -> bytes:
    elsewhere = numpy_helper.from_array(np.ones((2, 1), np.float32), "w")
    elsewhere.ClearField("raw_data")
    elsewhere.data_location = TensorProto.EXTERNAL
    elsewhere.external_data.add(key="location", value="weights")
    return model_of([helper.make_node("MatMul", ["x", "w"], ["prediction"])], weights=[elsewhere])


def malformed() -> dict[str, bytes]:
    good, random = model_of(), np.random.default_rng(5).bytes(4096)
    return {
        "empty": b"",
        "cut": good[: len(good) // 2],
        "cut at the end": good[:-3],
        "random": random,
        "random behind": good + random,
        "a pickle": b"\x80\x04\x95" + random,
        "no graph": bytes(helper.make_model(helper.make_graph([], "g", [], [])).SerializeToString()),
        "an operator that nobody has": model_of([helper.make_node("Nonsense", ["x"], ["prediction"])]),
        "so many rows": model_of(takes=[5, 2]),
        "no matrix": model_of(takes=["rows", 2, 2]),
        "no floats": model_of(
            [helper.make_node("ArgMax", ["x"], ["y"], axis=1)], gives={"y": TensorProto.INT64}, weights=[]
        ),
        "weights in another file": outside(),
    }


@pytest.mark.parametrize("how", malformed())
def test_a_malformed_file_is_an_error_and_kills_no_one(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = malformed()[how]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").write_bytes(np.ones(2, np.float32).tobytes())
    with pytest.raises(ModelError, match="model unreadable"):
        estimator.verify(data, digest_of(data))


def test_what_can_be_mended_says_how() -> None:
    for how, said in (("so many rows", "a free number of rows"), ("weights in another file", "export them into")):
        with pytest.raises(ValueError, match=said):
            onnx_session.opened(malformed()[how])


def test_rows_that_a_model_cannot_take_are_an_error_of_the_model() -> None:
    data, version = sealed(model_of())
    wider = ModelVersion(**{**vars(version), "features": ("n", "t", "u")})
    rows = ROWS.append_column("u", pa.array([1.0] * 200))
    with pytest.raises(ModelError, match="cannot predict"):
        estimator.predict(estimator.load(data, version), wider, rows)


def test_other_bytes_are_refused_before_they_are_parsed() -> None:
    data, version = sealed(model_of())
    with pytest.raises(ModelError, match="not the one that was promoted"):
        estimator.load(data + b" ", version)


THREE = [
    helper.make_node("MatMul", ["x", "w"], ["margins"]),
    helper.make_node("Softmax", ["margins"], ["probabilities"], axis=1),
]
WEIGHTS = numpy_helper.from_array(np.array([[0.5, 0.0, -1.0], [-1.0, 0.0, 2.0]], np.float32), "w")


CONSTANTS = {"zero": 0.0, "two": 2.0, "third": 1 / 3}
SPREAD = [
    helper.make_node("Mul", ["probabilities", "two"], ["much"]),
    helper.make_node("Sub", ["much", "third"], ["y"]),
]


def three(*then: Any, gives: str = "probabilities") -> bytes:
    """Return a model of three classes, or one that says something else of them."""
    filled = [
        helper.make_node("IsNaN", ["raw"], ["gone"]),
        helper.make_node("Where", ["gone", "zero", "raw"], ["x"]),
    ]
    graph = helper.make_graph(
        [*filled, *THREE, *then], "g",
        [helper.make_tensor_value_info("raw", TensorProto.FLOAT, ["rows", 2])],
        [helper.make_tensor_value_info(gives, TensorProto.FLOAT, None)],
        [WEIGHTS, *(numpy_helper.from_array(np.array([value], np.float32), name) for name, value in CONSTANTS.items())],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return bytes(made.SerializeToString())


def test_of_several_classes_each_has_its_probability() -> None:
    encoder = Encoder(ENCODER.features, ENCODER.categories, ("early", "late", "lost"))
    data = estimator.save(three(), encoder, DEFINITION, "s")
    _, binary = sealed(model_of())
    version = ModelVersion(**{**vars(binary), "digest": digest_of(data), "classes": encoder.classes})
    found = estimator.predict(estimator.load(data, version), version, ROWS)
    assert found.shape == (200, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=0, atol=1e-12)
    margins = np.nan_to_num(encoder.matrix(ROWS)) @ np.array([[0.5, 0.0, -1.0], [-1.0, 0.0, 2.0]])
    np.testing.assert_allclose(found, np.exp(margins) / np.exp(margins).sum(axis=1, keepdims=True), atol=1e-6)
    assert estimator.predict(estimator.load(data, version), version, ROWS.slice(0, 0)).shape == (0, 3)
    two = ModelVersion(**{**vars(version), "classes": ("early", "late")})
    session = onnx_session.opened(data)
    with pytest.raises(ModelError, match="cannot predict"):
        estimator.predict(session, two, ROWS)


@pytest.mark.parametrize(
    ("data", "classes", "why"),
    [
        (three(), 4, "of shape (2, 3)"),
        (model_of(), 3, "of shape (2, 1)"),
        (
            three(helper.make_node("Mul", ["probabilities", "two"], ["y"]), gives="y"),
            3,
            "whose sums over a row are 2 to 2",
        ),
        (three(*SPREAD, gives="y"), 3, "whose sums over a row are 1 to 1"),
    ],
    ids=["another number of classes", "one number", "twice as much", "some below 0"],
)
def test_what_are_no_probabilities_of_the_classes_is_named(data: bytes, classes: int, why: str) -> None:
    session, rows = onnx_session.opened(data), np.array([[-1.0, -2.0], [3.0, 4.0]], np.float32)
    with pytest.raises(ValueError) as caught:
        onnx_session.check_predictions(session, "multiclass", rows, classes)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("nodes", "task", "why"),
    [
        ([helper.make_node("ReduceSum", ["x"], ["prediction"], keepdims=0)], "regression", "of shape ()"),
        ([helper.make_node("Identity", ["x"], ["prediction"])], "regression", "not finite, of a row that has no value"),
        ([helper.make_node("Log", ["x"], ["prediction"])], "regression", "not finite, of training rows"),
        ([helper.make_node("Identity", ["x"], ["prediction"])], "binary", "are no probabilities, of training rows"),
    ],
)
def test_predictions_that_nobody_could_score_with_are_named(nodes: list[Any], task: str, why: str) -> None:
    session = onnx_session.opened(model_of(nodes, weights=[]))
    with pytest.raises(ValueError) as caught:
        onnx_session.check_predictions(session, task, np.array([[-1.0, -2.0], [3.0, 4.0]], np.float32))
    assert why in str(caught.value)
