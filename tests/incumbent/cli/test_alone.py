"""The commands that stand alone: a verdict, a reason, an exit code that a script can go by, and a next step."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.incumbent.alone.tables import features, predictions, with_column

from incumbent.cli.main import main

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden"
CONTRACT = """
sources:
  people:
    key: [id]
    columns:
      id: {dtype: int64}
      km: {dtype: float64, max: 100}
      mail: {dtype: string, pattern: ".+@.+", sensitive: true}
"""
# Each command on files with and without what it looks for.
COMMANDS = {
    "compare": "compare bad.parquet good.parquet --key id --label y --cluster day --slice region",
    "drift": "drift before.parquet moved.parquet --ignore day",
    "check": "check people.parquet --contract contract.yaml",
    "leaks": "leaks leaky.parquet --target y --ignore score",
}
OTHERWISE = {
    "compare": "compare good.parquet bad.parquet --key id --label y",
    "drift": "drift before.parquet after.parquet --ignore day",
    "check": "check good_people.parquet --contract contract.yaml",
    "leaks": "leaks good.parquet --target y --ignore score",
}
FINE = {"compare": 0, "drift": 1, "check": 1, "leaks": 1}
# What a person need not have; and what the others import where it is there.
ABSENT = (
    "airflow", "ray", "mlflow", "great_expectations", "evidently", "optuna", "boto3", "psutil", "pandas", "sklearn",
    "lightgbm", "onnxruntime", "httpx", "duckdb_engine", "sqlalchemy",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a file for each question."""
    path = tmp_path_factory.mktemp("alone")
    bad, good = predictions(noise=1.0), predictions()
    leaky = good.append_column(
        "copy", pa.array(good["y"].to_numpy() + 0.2 * np.random.default_rng(1).normal(size=3000))
    )
    people = pa.table({"id": [1, 2, 2], "km": [1.0, 2.0, 300.0], "mail": ["a@b", "nobody", "c@d"]})
    moved = with_column(features(1000, seed=2, x1=1.0), "price", features(1000, seed=2)["price"].to_numpy() * 1000)
    tables = {
        "bad": bad, "good": good.drop_columns(["y"]).append_column("y", good["y"]), "leaky": leaky, "people": people,
        "good_people": people.slice(0, 1), "before": features(), "after": features(1000, seed=2), "moved": moved,
    }  # fmt: skip
    for name, table in tables.items():
        pq.write_table(table, path / f"{name}.parquet")
    (path / "contract.yaml").write_text(CONTRACT)
    return path


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], Any]:
    """Return what runs a command in that folder, and gives its status and what it printed."""
    monkeypatch.chdir(folder)

    def run(command: str) -> tuple[int, str, str]:
        status = main(command.split())
        return status, *capsys.readouterr()

    return run


@pytest.mark.parametrize("name", COMMANDS)
def test_the_exit_code_is_the_verdict_and_the_last_line_the_next_step(name: str, run: Callable[[str], Any]) -> None:
    for commands, status in ((COMMANDS, FINE[name]), (OTHERWISE, 1 - FINE[name])):
        code, out, err = run(commands[name])
        assert (code, err) == (status, "")
        assert out.splitlines()[-1].startswith("Next: ")
        assert "a@b" not in out and "nobody" not in out


@pytest.mark.parametrize("name", COMMANDS)
def test_json_is_of_the_version_that_it_says(name: str, run: Callable[[str], Any]) -> None:
    code, out, _ = run(f"{COMMANDS[name]} --json")
    found, golden = json.loads(out), json.loads((GOLDEN / f"{name}-1.json").read_text())
    assert found["schema"] == golden["schema"] == f"incumbent.{name}/1"
    assert kinds(found) == kinds(golden), "another shape is another version, with a golden file of its own"
    assert found.get("verdict") == golden.get("verdict")
    assert found["passed"] is golden["passed"] is (code == 0)
    assert "nobody" not in out


def kinds(plain: Any) -> Any:
    """Return keys and kinds of values."""
    if isinstance(plain, dict):
        return {key: kinds(value) for key, value in plain.items()}
    if isinstance(plain, list):
        return [kinds(plain[0])] if plain else []
    return "number" if isinstance(plain, int | float) and not isinstance(plain, bool) else type(plain).__name__


@pytest.mark.parametrize(
    "command",
    [
        "compare bad.parquet good.parquet --key nothing --label y",
        "compare nothing.parquet good.parquet --key id --label y",
        "drift before.parquet after.parquet --score margin",
        "check nothing.parquet --contract contract.yaml",
        "check people.parquet --contract contract.yaml --source cars",
        "leaks good.parquet --target margin",
    ],
)
def test_wrong_usage_is_two_with_a_next_step(command: str, run: Callable[[str], Any]) -> None:
    code, out, err = run(command)
    assert (code, out) == (2, "")
    assert "\n  next: " in err


def test_an_error_is_json_too_where_json_is_asked_for(run: Callable[[str], Any]) -> None:
    code, out, err = run("compare bad.parquet good.parquet --key nothing --label y --json")
    found, golden = json.loads(out), json.loads((GOLDEN / "error-1.json").read_text())
    assert (code, found["exit_code"], found["schema"]) == (2, 2, golden["schema"])
    assert kinds(found) == kinds(golden)
    assert (found["what"], found["where"]) == ("a column is not in the table", "bad.parquet: nothing")
    assert f"next: {found['next_step']}" in err
    many = json.loads(run("compare bad.parquet people.parquet --key id --label y --score km --json")[1])
    assert many["expected"] is not None and isinstance(many["examples"], list)


def test_words_of_a_comparison(run: Callable[[str], Any]) -> None:
    lines = run(COMMANDS["compare"])[1].splitlines()
    assert lines[0].startswith("B is better: AUC +")
    assert lines[1].startswith("  A (score): AUC 0.") and lines[2].startswith("  B (score): AUC 0.")
    assert "would be seen in nine of ten cases" in lines[3]
    slices = {line.split(":")[0].strip() for line in lines if line.startswith("    region")}
    assert slices == {"region east", "region north", "region west"}


def test_without_airflow_ray_mlflow_and_whatever_else_a_file_does_not_need(folder: Path) -> None:
    program = f"""
import sys
ABSENT = {ABSENT!r}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from incumbent.cli.main import main
import incumbent
codes = [main(command.split()) for command in {list(COMMANDS.values())!r}]
assert incumbent.leaks("good.parquet", target="y", ignore="score").passed
print(codes, sorted(set(ABSENT) & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == f"{[FINE[name] for name in COMMANDS]} []"


@pytest.mark.slow
def test_the_wheel_alone_is_enough(folder: Path, tmp_path: Path) -> None:
    """In an environment that has the wheel and what it depends on, and nothing else."""
    uv = str(Path(sys.executable).parent / "uv")
    source, python = tmp_path / "source", tmp_path / "env" / "bin" / "python"

    def call(*words: str) -> None:
        done = subprocess.run([uv, "--quiet", *words], capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, f"uv {' '.join(words)}\n{done.stderr[-2000:]}"

    for name in ("include/incumbent", "plugins/incumbent_airflow"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    call(
        "build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(tmp_path), str(source)
    )
    (wheel,) = tmp_path.glob("*.whl")
    call("venv", "--python", sys.executable, str(tmp_path / "env"))
    call("pip", "install", "--python", str(python), "--constraint", str(ROOT / "requirements.txt"), str(wheel))
    listed = subprocess.run(
        [uv, "pip", "list", "--python", str(python), "--format", "json"], capture_output=True, text=True, check=True
    ).stdout
    there = {each["name"] for each in json.loads(listed)}
    assert there & {"apache-airflow", "ray", "mlflow", "great-expectations", "pandas"} == set()
    environment = {"PATH": "/usr/bin:/bin"}
    for commands, flip in ((COMMANDS, 0), (OTHERWISE, 1)):
        for name, command in commands.items():
            words = [str(python.parent / "incumbent"), *command.split()]
            done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == abs(FINE[name] - flip), f"{command}\n{done.stdout}\n{done.stderr[-2000:]}"
            assert done.stdout.splitlines()[-1].startswith("Next: ")
