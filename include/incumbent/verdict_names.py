"""The names of verdicts: whoever looks for one about what the tables hold now computes the same."""

from __future__ import annotations

from incumbent.records import Part, digest_of

VERDICTS = "verdicts"
ESTIMATES, DIAGNOSES = "estimates", "diagnoses"
DRIFT_COUNTS = "drift_counts"  # what a drift verdict was made from, by the same name


def drift_name(partition: str, predictions: Part | None, version: str) -> str:
    """Return the name of the verdict about exactly these predictions."""
    return f"{partition}/drift-{digest_of([predictions and predictions.digest, version])[:16]}"


def shadow_name(partition: str, predictions: Part | None, outcomes: Part | None, shadow: str) -> str:
    """Return the name of the verdict about a second version on exactly these predictions and outcomes."""
    about = [predictions and predictions.digest, outcomes and outcomes.digest, shadow]
    return f"{partition}/shadow-{digest_of(about)[:16]}"


def performance_name(partition: str, predictions: Part | None, outcomes: Part) -> str:
    """Return the name of the verdict about exactly these predictions and outcomes."""
    return f"{partition}/performance-{digest_of([predictions and predictions.digest, outcomes.digest])[:16]}"


def diagnosis_name(partition: str, drift: str, performance: str) -> str:
    """Return the name of the diagnosis that was made from exactly these verdicts.

    Args:
        partition: Partition key.
        drift: Name of the drift verdict.
        performance: Name of the performance verdict; empty without outcomes.
    """
    return f"{partition}/{digest_of([drift, performance])[:16]}"
