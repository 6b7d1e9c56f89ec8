"""Monitor: has the data drifted, and does the champion still do what it did when it was gated?"""

from incumbent.monitor.drift import drift_verdict
from incumbent.monitor.metrics import metric_rows
from incumbent.monitor.performance import baseline, performance_verdict
from incumbent.monitor.reference import Judged, Reference, reference_of
from incumbent.monitor.verdicts import DriftVerdict, PerformanceVerdict

__all__ = [
    "DriftVerdict",
    "Judged",
    "PerformanceVerdict",
    "Reference",
    "baseline",
    "drift_verdict",
    "metric_rows",
    "performance_verdict",
    "reference_of",
]
