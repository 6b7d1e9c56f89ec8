"""What each estimator can do and what is decided for it: plain facts, known before any library is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Ability:
    """What may be asked of an estimator.

    Attributes:
        library: Distribution it needs.
        extra: Extra of the wheel that brings the library; empty if the wheel itself does.
        workers: Several workers can share a fit.
        cuda: It can be fitted on a GPU.
        external: Its binned rows can lie on disk.
        warm: A fit can go on from a version, on other rows.
        metric: Its rounds can be judged by the folder's own `metric`.
        objective: Its trees can learn the folder's own `objective`.
        explained: What each feature adds to a prediction can be had exactly.
        rounds: It learns in rounds, with checkpoints between them; else all at once, by the user's script.
        decided: Parameter that is not to be set in `train.params`, to what says it instead; empty if nothing does.
    """

    library: str
    extra: str = ""
    workers: bool = False
    cuda: bool = False
    external: bool = False
    warm: bool = False
    metric: bool = False
    objective: bool = False
    explained: bool = True
    rounds: bool = True
    decided: Mapping[str, str] = field(default_factory=dict)


ABILITIES: Mapping[str, Ability] = {
    "xgboost": Ability(
        library="xgboost",
        workers=True,
        cuda=True,
        external=True,
        warm=True,
        metric=True,
        objective=True,
        decided={
            "objective": "task",
            "device": "train.device",
            "seed": "train.seed",
            "num_class": "label.classes",
            "multi_strategy": "",  # trees of all classes at once take no text feature and no constraint, nor explain
            "nthread": "",
            "tree_method": "",
        },
    ),
    "lightgbm": Ability(
        library="lightgbm",
        extra="lightgbm",
        metric=True,
        decided={
            "objective": "task",
            "num_class": "label.classes",
            "device_type": "train.device",
            "seed": "train.seed",
            "num_threads": "train.cpus_per_worker",
            "num_iterations": "train.rounds",
            "early_stopping_round": "train.early_stopping",
            "bagging_seed": "train.seed",
            "feature_fraction_seed": "train.seed",
            "extra_seed": "train.seed",
            "data_random_seed": "train.seed",
            "boosting": "",  # what dart and rf do to older trees, no file says
            "linear_tree": "",  # its leaves have no one value that an intercept could be added to
            "sigmoid": "",  # with another one, and with reg_sqrt, explanations do not sum to the margin
            "reg_sqrt": "",
            "is_unbalance": "train.balance",
            "scale_pos_weight": "train.balance",
            "categorical_feature": "",
            "deterministic": "",
            "force_row_wise": "",
            "force_col_wise": "",
            "tree_learner": "",
            "num_machines": "",
            "machines": "",
            "boost_from_average": "",
            "verbosity": "",
        },
    ),
    "onnx": Ability(library="onnxruntime", extra="onnx", explained=False, rounds=False),
}
