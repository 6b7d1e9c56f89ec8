"""A candidate that the user's own script fits: what it gets, what it has to leave, and what names it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_training import CLASSES, REQUEST, class_model, small_model, small_settings, small_store

from incumbent.config import Model
from incumbent.errors import TrainingError
from incumbent.estimators import predictor
from incumbent.features.rows import feature_rows
from incumbent.records import ModelVersion, Training
from incumbent.store.check import check_model
from incumbent.train.stage import plan_training, train_candidate
from incumbent.train.work import Work

pytestmark = pytest.mark.unit

SHARE = """
import json, shutil
import numpy as np, onnx, pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper
rows, told = pq.read_table("rows.parquet"), json.load(open("told.json"))
for name in ("rows.parquet", "told.json"):
    shutil.copy(name, told["params"]["seen"])
share = np.average(rows["label"], weights=rows["weight"])
w = np.zeros((len(told["features"]), 1), np.float32)
w[0] = 0.5
nodes = [
    helper.make_node("IsNaN", ["x"], ["gone"]),
    helper.make_node("Where", ["gone", "zero", "x"], ["there"]),
    helper.make_node("Gemm", ["there", "w", "b"], ["margin"]),
    helper.make_node("Sigmoid", ["margin"], ["prediction"]),
]
graph = helper.make_graph(
    nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", len(w)])],
    [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, ["rows", 1])],
    [numpy_helper.from_array(np.array(each, np.float32), name)
     for name, each in {"w": w, "b": [np.log(share / (1 - share))], "zero": [0.0]}.items()],
)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), "model.onnx")
"""


def scripted(text: str, **train: Any) -> Model:
    settings = {"estimator": "onnx", "script": "train.py", "rounds": 150, "checkpoint_every": 25, **train}
    return small_model(**settings).with_script(text)


def train(root: Path, text: str = SHARE, request: str = REQUEST, **settings: Any) -> tuple[Any, Training]:
    (root / "seen").mkdir(parents=True, exist_ok=True)
    store, snapshot = small_store(root)
    model = scripted(text, **{"params": {"seen": str(root / "seen")}, **settings})
    return store, train_candidate(store, model, snapshot, request, small_settings(root))


def test_it_gets_encoded_rows_and_what_they_mean(tmp_path: Path) -> None:
    store, training = train(tmp_path, weight="1 + (kind = 'b')::INT", seed=5)
    rows = pq.read_table(tmp_path / "seen" / "rows.parquet")
    assert [f"{field.name} {field.type}" for field in rows.schema] == [
        "x float", "y float", "kind float", "label double", "weight float",
    ]  # fmt: skip
    assert rows.num_rows == 2226
    features = feature_rows(store, store.records.get(ModelVersion, training.version).definition, ["2020-01"])
    np.testing.assert_array_equal(rows["x"], np.asarray(features["x"], np.float32)[:2226])
    kinds = np.asarray(["a", "b", "c"])[np.asarray(rows["kind"], int)]
    assert kinds.tolist() == features["kind"].to_pylist()[:2226]
    np.testing.assert_array_equal(rows["weight"], 1 + (kinds == "b"))
    told = json.loads((tmp_path / "seen" / "told.json").read_text())
    assert told == {
        "task": "binary",
        "seed": 5,
        "params": {"seen": str(tmp_path / "seen")},
        "features": ["x", "y", "kind"],
        "categories": {"kind": ["a", "b", "c"]},
    }


THREE = (
    SHARE.replace("np.zeros((len(told[\"features\"]), 1)", "np.zeros((len(told[\"features\"]), 3)")
    .replace("w[0] = 0.5", "w[0] = [0, 0.5, 1]")
    .replace("share = np.average(rows[\"label\"], weights=rows[\"weight\"])",
             "share = np.bincount(np.asarray(rows[\"label\"], int)) / len(rows)")
    .replace('[np.log(share / (1 - share))]', "np.log(share)")
    .replace('helper.make_node("Sigmoid", ["margin"], ["prediction"])',
             'helper.make_node("Softmax", ["margin"], ["prediction"], axis=1)')
    .replace('["rows", 1]', '["rows", 3]')
)  # fmt: skip


def test_of_several_classes_it_gets_their_names_and_leaves_a_probability_of_each(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    seen.mkdir()
    store, snapshot = small_store(tmp_path, states=True)
    own = {"rounds": 150, "checkpoint_every": 25}
    settings = {"estimator": "onnx", "script": "train.py", **own, "params": {"seen": str(seen)}}
    model = class_model(**settings).with_script(THREE)
    training = train_candidate(store, model, snapshot, REQUEST, small_settings(tmp_path))
    assert json.loads((seen / "told.json").read_text())["classes"] == list(CLASSES)
    labels = np.asarray(pq.read_table(seen / "rows.parquet")["label"])
    assert set(labels) == {0.0, 1.0, 2.0}
    version = store.records.get(ModelVersion, training.version)
    rows = feature_rows(store, version.definition, ["2020-01"])
    found = predictor(store)(version, rows)
    of_truth = found[np.arange(2226), labels.astype(int)]
    assert training.metric == "mlogloss"
    assert training.scores["train"]["1"] == pytest.approx(-np.log(of_truth).mean(), rel=1e-5)
    assert version.importance == {"x": 1.0, "y": 0.0, "kind": 0.0}
    with pytest.raises(TrainingError, match="left no model that can be scored with") as caught:
        other = class_model(**settings).with_script(SHARE)
        train_candidate(store, other, snapshot, "2020-01-r2", small_settings(tmp_path))
    assert "exit code 1" in str(caught.value.found)


def test_a_version_comes_out_that_names_the_script(tmp_path: Path) -> None:
    store, training = train(tmp_path)
    version = store.records.get(ModelVersion, training.version)
    assert (training.rounds, training.checkpoints, training.resumed_from) == (1, 1, None)
    assert (version.estimator, version.rounds, version.train_rows) == ("onnx", 1, 2226)
    assert version.importance == {"x": 1.0, "y": 0.0, "kind": 0.0}
    assert store.objects.get(version.script).decode() == SHARE
    assert check_model(store) == []
    rows = feature_rows(store, version.definition, ["2020-01"])
    predicted = predictor(store)(version, rows)
    margin = np.log(predicted / (1 - predicted))
    np.testing.assert_allclose(margin - margin[0], 0.5 * (np.asarray(rows["x"]) - rows["x"][0].as_py()), atol=1e-4)
    store.blobs.remove(f"objects/{store.objects.key(version.script)}")
    assert "the training script" in str(check_model(store))


def test_a_script_that_has_finished_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, undisturbed = train(tmp_path / "undisturbed", params={"seen": str(tmp_path)})
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Work, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        train(tmp_path / "killed", params={"seen": str(tmp_path)})
    (tmp_path / "rows.parquet").unlink()
    _, resumed = train(tmp_path / "killed", params={"seen": str(tmp_path)})
    assert not (tmp_path / "rows.parquet").exists()
    assert (resumed.resumed_from, resumed.version, resumed.exact_resume) == (1, undisturbed.version, True)


def test_another_script_is_another_work(tmp_path: Path) -> None:
    _, snapshot = small_store(tmp_path)
    assert Work(scripted("a"), snapshot).id != Work(scripted("b"), snapshot).id
    assert Work(scripted("a"), snapshot).id == Work(scripted("a", script="other.py"), snapshot).id
    assert Work(scripted("a"), snapshot).id != Work(small_model(), snapshot).id


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "none"),
        ("open('model.onnx', 'w')", "one of 0 bytes"),
        ("open('model.onnx', 'wb').write(b'no model')", "Protobuf parsing failed"),
        (SHARE.replace('told["features"]), 1)', 'told["features"]) + 1, 1)'), "exit code 1"),
        (SHARE + "model = onnx.load('model.onnx')\nmodel.metadata_props.add(key='incumbent', value='x')\n"
         "onnx.save(model, 'model.onnx')\n", "one whose metadata has 'incumbent' already"),
        (SHARE.replace('"Sigmoid"', '"Identity"'), "are no probabilities"),
    ],
)  # fmt: skip
def test_a_script_that_leaves_no_usable_model_is_told_what_was_found(tmp_path: Path, text: str, found: str) -> None:
    with pytest.raises(TrainingError, match="left no model that can be scored with") as caught:
        train(tmp_path, text)
    assert found.lower() in str(caught.value.found).lower()
    assert caught.value.where == "train.script in model.yaml"


def test_a_feature_may_not_be_called_like_a_column_beside_the_features(tmp_path: Path) -> None:
    from incumbent.estimators.encoding import Encoder
    from incumbent.estimators.onnx_rounds import OnnxRounds
    from incumbent.estimators.rounds import Given
    from incumbent.estimators.shards import Shard

    rounds = OnnxRounds(Given("binary", {}, 7, "cpu", 1), Shard([], [], Encoder(("weight",), {})), None)
    with pytest.raises(TrainingError, match="the name of a column") as caught:
        rounds.add()
    assert caught.value.found == "weight"


@pytest.mark.parametrize("asked", [{"launcher": "ray"}, {"device": "cuda"}, {"workers": 2}])
def test_what_a_script_is_not_run_with_is_refused(tmp_path: Path, asked: dict[str, Any]) -> None:
    store, snapshot = small_store(tmp_path)
    with pytest.raises(TrainingError, match="what it cannot do"):
        plan_training(store, scripted("", **{"launcher": "auto", **asked}), snapshot, REQUEST)
