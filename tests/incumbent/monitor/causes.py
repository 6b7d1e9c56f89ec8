"""Batches whose trouble is known: a small world, and one way to break it for each cause."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import expit

from incumbent.diagnosis import Diagnosis, Evidence, diagnose
from incumbent.monitor.domain import tell_apart
from incumbent.monitor.estimate import Known, estimate, recalibrate
from incumbent.monitor.recentred import label_facts
from incumbent.monitor.segments import Side, moved_segments
from incumbent.stats import auc_influence, mean_difference
from incumbent.stats.differences import from_influence

SHOPS = ["north", "south", "east", "west", "web"]
SOURCES = {"x": ("batch",), "y": ("batch",), "shop": ("batch",), "temp": ("weather",), "wind": ("weather",)}
NUMBERS = ("x", "y", "temp", "wind")
TRUTHS = {
    "none": ("none", "nothing"),
    "bad_data": ("bad_data", "repair"),
    "one shop": ("upstream_change", "repair"),
    "one source": ("upstream_change", "repair"),
    "another mix": ("covariate_shift", "watch"),
    "costly": ("covariate_shift", "retrain"),
    "costly and judged": ("covariate_shift", "retrain"),
    "moved and judged fine": ("covariate_shift", "watch"),
    "label_shift": ("label_shift", "recalibrate"),
    "concept_drift": ("concept_drift", "retrain"),
    "concept_drift beside a shift": ("concept_drift", "retrain"),
    "few": ("unknown", "watch"),
}


@dataclass(frozen=True)
class Rows:
    """Rows as the model sees them, what it says of them, and the truth."""

    table: pa.Table
    scores: np.ndarray
    labels: np.ndarray


def rows(random: np.random.Generator, count: int, cause: str = "none") -> Rows:
    """Draw rows; labels are made from what is true, scores from what arrives."""
    x, y, temp, wind = random.normal(size=(4, count))
    shop = random.choice(SHOPS, count, p=[0.1, 0.1, 0.1, 0.1, 0.6] if cause == "another mix" else None)
    x += 1.2 * (shop == "web")
    if cause.startswith("costly"):  # easy rows are gone
        x, y = 0.3 * x, 0.3 * y + 0.5
    if cause in ("moved and judged fine", "concept_drift beside a shift"):
        x, y, temp = x + 0.6, y - 0.5, temp + 0.4
    slopes = (0.5, 1.0) if cause.startswith("concept_drift") else (1.2, 1.0)
    chance = expit(slopes[0] * x + slopes[1] * y + 0.5 * temp - 1)
    labels = (random.random(count) < chance).astype(float)
    seen = {"x": x.copy(), "y": y.copy(), "temp": temp.copy(), "wind": wind.copy()}
    if cause == "one shop":
        seen["x"][shop == "east"] += 2.5
        seen["y"][shop == "east"] -= 2.5
    if cause == "one source":
        seen["temp"] = seen["temp"] * 2 + 1
        seen["wind"] = seen["wind"] * 2 + 2
    if cause == "bad_data":
        seen["temp"] *= 100
    scores = expit(1.2 * seen["x"] + seen["y"] + 0.5 * seen["temp"] - 1)
    return Rows(pa.table({**seen, "shop": shop}), scores, labels)


def world(seed: int, cause: str, count: int = 4000) -> Evidence:
    """Return what is known of a batch that a cause has befallen."""
    random = np.random.default_rng([seed, sorted(TRUTHS).index(cause)])
    reference = rows(random, 8000)
    if cause == "label_shift":
        drawn = rows(random, 4 * count)
        keep = np.flatnonzero((drawn.labels > 0.5) | (random.random(4 * count) < 0.3))[:count]
        batch = Rows(drawn.table.take(pa.array(keep)), drawn.scores[keep], drawn.labels[keep])
    else:
        batch = rows(random, 8 if cause == "few" else count, cause)
    area, psi = auc_influence(reference.labels, reference.scores)
    gated = {"value": area, "error": from_influence(area, psi, None).error}
    evidence = Evidence(
        "2013-07", 3, "v" * 64, len(batch.scores), drift=drift(reference, batch), reference=gated, sources=SOURCES
    )
    if cause == "bad_data":
        evidence = replace(
            evidence, integrity=({"column": "temp", "holds": True, "sentence": "temp: another unit, 10^2"},)
        )
    if evidence.tier != "none":
        evidence = explained(evidence, reference, batch)
    if cause in ("few", "costly", "one source", "none"):
        return evidence
    return labelled(evidence, batch)


def drift(reference: Rows, batch: Rows) -> dict[str, Any]:
    """Return a verdict like the real one: by the size of what moved."""
    effects = {name: effect(np.asarray(reference.table[name]), np.asarray(batch.table[name])) for name in NUMBERS}
    moved = [{"feature": name, "effect": size, "importance": 0.2} for name, size in effects.items() if size > 0.1]
    score = effect(reference.scores, batch.scores)
    tier = "drift" if score > 0.03 else "warning" if moved else "none"
    return {"tier": tier, "batches": 24, "features": moved, "score": {"effect": score}}


def effect(reference: np.ndarray, batch: np.ndarray) -> float:
    if len(batch) < 30:
        return 0.0
    edges = np.quantile(reference, np.arange(1, 10) / 10)
    first, second = (np.bincount(np.searchsorted(edges, each), minlength=10) / len(each) for each in (reference, batch))
    bias = 9 * (1 / len(reference) + 1 / len(batch))
    return float((((second - first) ** 2) / np.maximum(first, 1e-3)).sum() - bias)


def explained(evidence: Evidence, reference: Rows, batch: Rows) -> Evidence:
    domain = tell_apart(reference.table, batch.table, list(SOURCES), max_rows=8000, threads=1)
    before = Side(reference.table.take(pa.array(domain.reference_rows)), domain.reference_scores)
    after = Side(batch.table.take(pa.array(domain.batch_rows)), domain.batch_scores)
    segments = [{**found, "by": "inputs"} for found in moved_segments(before, after, list(SOURCES))]
    at = domain.reference_rows
    known = Known(reference.labels[at], reference.scores[at], weights=domain.weights)
    quarantined = bool(evidence.integrity)
    found = estimate(
        "2013-07", 3, "v" * 64, "binary", batch.scores, recalibrate("binary", known), evidence.reference,
        quarantined=quarantined,
    )  # fmt: skip
    plain = found.to_json() if found.value is not None else {}
    return replace(evidence, domain=domain.finding, segments=tuple(segments), estimate=plain)


def labelled(evidence: Evidence, batch: Rows) -> Evidence:
    area, psi = auc_influence(batch.labels, batch.scores)
    error = from_influence(area, psi, None).error
    miss = mean_difference(batch.labels - batch.scores)
    z = {
        "rank": (evidence.reference["value"] - area) / np.hypot(error, evidence.reference["error"]),
        "cal_high": (miss.estimate - 0.005) / miss.error,
        "cal_low": (-miss.estimate - 0.005) / miss.error,
    }
    performance = {"judged": True, "metric": "auc", "value": area, "error": error, "z": z}
    facts = label_facts("binary", batch.labels, batch.scores, None, evidence.reference)
    return replace(evidence, performance=performance, labels=facts)


def told(seed: int, cause: str) -> Diagnosis:
    return diagnose(world(seed, cause))
