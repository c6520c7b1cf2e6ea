"""The model at work: scores with reasons, kept in the state database and answered over HTTP."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = [
    "Database",
    "Scorer",
    "ServingSettings",
    "create_key",
    "score_territory",
]

_HOMES = {
    "Database": "serving.database",
    "Scorer": "serving.answering",
    "ServingSettings": "serving.settings",
    "create_key": "serving.access",
    "score_territory": "serving.scoring",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'serving' has no attribute '{name}'")
