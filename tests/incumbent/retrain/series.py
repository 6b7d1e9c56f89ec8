"""A model whose months have features, outcomes and verdicts, for tests of the policy's store side."""

import numpy as np
import pyarrow as pa
from small_training import small_model

from incumbent.monitor import PerformanceVerdict
from incumbent.records import ModelVersion, Promotion
from incumbent.store import ModelStore, generation_name
from incumbent.verdict_names import VERDICTS, drift_name, performance_name

MONTHS = [f"2020-{month:02d}" for month in range(1, 7)]
ROWS = 3000
MODEL = small_model()
MODEL = MODEL.model_copy(
    update={
        "label": MODEL.label.model_copy(update={"where": "status = 'landed'"}),
        "retrain": MODEL.retrain.model_copy(update={"growth": None}),
    }
)


def deliver(store: ModelStore, key: str) -> None:
    """Commit features and outcomes of a month; every third outcome is cancelled and has no label."""
    first = int(key.replace("-", "")) * 10_000
    row = pa.array(range(first, first + ROWS), pa.int64())
    store.features(store.objects.put(b"SELECT * FROM batch")).replace(key, pa.table({"row": row}))
    status = pa.array(["cancelled" if number % 3 == 0 else "landed" for number in range(ROWS)])
    late = pa.array(np.arange(ROWS) % 2 == 0)
    store.outcomes("truth").replace(key, pa.table({"row": row, "late": late, "status": status}))


def seat(store: ModelStore, generation: int, partition: str) -> None:
    digest = store.objects.put(f"model {generation}".encode())
    definition = store.objects.put(b"SELECT * FROM batch")
    version = ModelVersion(digest, "small", "xgboost", "binary", definition, "s", (), {}, {}, 1, 1, "2020-01-01", {})
    store.records.put(digest, version)
    entry = Promotion(generation, digest, generation - 1, "", "promote", "better", f"r{generation}", partition)
    store.records.put(generation_name(generation), entry)


def drift(store: ModelStore, key: str, sentence: str = "the score moved") -> None:
    """Let a month and the one before be scored by the champion, and its scores drift."""
    champion = store.champion()
    assert champion is not None
    scores = pa.table({"row": [1], "prediction": [float(len(sentence))]})
    for month in (MONTHS[MONTHS.index(key) - 1], key):
        part = store.predictions.replace(month, scores).part
        plain = {"generation": champion.generation, "tier": "retrain candidate", "sentence": sentence}
        store.records.put_plain(VERDICTS, drift_name(month, part, champion.version), plain)


def performance(store: ModelStore, key: str, champion: Promotion, value: float) -> None:
    part = store.predictions.replace(key, pa.table({"row": [1], "prediction": [value]})).part
    outcomes = store.outcomes("truth").parts()[key]
    reference = {"value": 0.7, "error": 0.01, "clusters": 1e6, "rows": 2000}
    verdict = PerformanceVerdict(
        key, champion.generation, champion.version, True, 1.0, "auc", value, 0.01, {}, 0.5, "judged", rows=2000,
        df=1e6, misses={"": {"estimate": 0.0, "error": 0.01}}, slack=0.005, reference=reference,
    )  # fmt: skip
    store.records.put(performance_name(key, part, outcomes), verdict)
