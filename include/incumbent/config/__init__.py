"""A model folder read once: `model.yaml` as frozen, strict objects.

Thresholds live here, in YAML, with their unit and reason; a key that is not known is an error that
names the file, because a typo that is silently ignored is a threshold that is silently off.
"""

from incumbent.config.card import Card
from incumbent.config.explain import Explain
from incumbent.config.folder import ModelFolder, load_model, model_folders
from incumbent.config.gates import Behaviour, Change, Cost, Fairness, Gates, Guard
from incumbent.config.model import Model
from incumbent.config.publish import Publish
from incumbent.config.rollout import Rollout
from incumbent.config.source import Evaluate, Label, Source, known_zone
from incumbent.config.strict import CONNECTION, LOCAL_DATE, NAME, Strict
from incumbent.config.train import IN_ROUNDS, Choice, Range, Search, Train
from incumbent.config.watch import (
    INTERVALS,
    Approvals,
    Budget,
    EvidentlyEngine,
    Integrity,
    Monitor,
    Rebuild,
    Retention,
    Retrain,
    Rollback,
    Score,
)
from incumbent.strict_yaml import read_yaml

__all__ = [
    "CONNECTION",
    "INTERVALS",
    "IN_ROUNDS",
    "LOCAL_DATE",
    "NAME",
    "Approvals",
    "Behaviour",
    "Budget",
    "Card",
    "Change",
    "Choice",
    "Cost",
    "Evaluate",
    "EvidentlyEngine",
    "Explain",
    "Fairness",
    "Gates",
    "Guard",
    "Integrity",
    "Label",
    "Model",
    "ModelFolder",
    "Monitor",
    "Publish",
    "Range",
    "Rebuild",
    "Retention",
    "Retrain",
    "Rollback",
    "Rollout",
    "Score",
    "Search",
    "Source",
    "Strict",
    "Train",
    "known_zone",
    "load_model",
    "model_folders",
    "read_yaml",
]
