"""Statistics that several stages share: AUC, and differences with a clustered error."""

from incumbent.stats.advantage import advantage, loss_saved, measured_advantage, row_losses
from incumbent.stats.auc import auc, auc_influence, paired_auc_difference
from incumbent.stats.change import Change, Measured, largest_fall, lasting_fall, normal_z, of_worst, pooled
from incumbent.stats.classes import class_losses
from incumbent.stats.differences import Difference, from_influence, mean_difference, quantile, relative_difference
from incumbent.stats.sequential import Evidence, e_value, gathered

__all__ = [
    "Change",
    "Difference",
    "Evidence",
    "Measured",
    "advantage",
    "auc",
    "auc_influence",
    "class_losses",
    "e_value",
    "from_influence",
    "gathered",
    "largest_fall",
    "lasting_fall",
    "loss_saved",
    "mean_difference",
    "measured_advantage",
    "normal_z",
    "of_worst",
    "paired_auc_difference",
    "pooled",
    "quantile",
    "relative_difference",
    "row_losses",
]
