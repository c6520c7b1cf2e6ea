"""Sources to events, events to timelines, timelines to a point-in-time feature matrix."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = [
    "Catalogue",
    "FeaturesSettings",
    "JalonError",
    "Matrix",
    "Territory",
    "Timelines",
    "Vault",
    "build_catalogue",
    "build_matrix",
]

_HOMES = {
    "Catalogue": "features.catalogue",
    "FeaturesSettings": "features.settings",
    "JalonError": "features.errors",
    "Matrix": "features.matrix",
    "Territory": "features.territory",
    "Timelines": "features.timelines",
    "Vault": "features.identity",
    "build_catalogue": "features.definitions",
    "build_matrix": "features.frames",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'features' has no attribute '{name}'")
