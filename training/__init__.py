"""Matrix to model: cohort, ruptures, folds, calibrated models, reasons, registry."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = [
    "Champion",
    "Cohort",
    "Explanation",
    "TrainingReport",
    "TrainingSettings",
    "build_cohort",
    "explain",
    "load_champion",
    "open_pathways",
    "train",
]

_HOMES = {
    "Champion": "training.registry",
    "Cohort": "training.cohort",
    "Explanation": "training.explanation",
    "TrainingReport": "training.report",
    "TrainingSettings": "training.settings",
    "build_cohort": "training.cohort",
    "explain": "training.explanation",
    "load_champion": "training.registry",
    "open_pathways": "training.cohort",
    "train": "training.train",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'training' has no attribute '{name}'")
