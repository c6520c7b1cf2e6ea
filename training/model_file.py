"""The one JSON file that every saved model has: its kind, its features, its numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from features.errors import DataError

__all__ = ["read_model_file", "write_model_file"]


def write_model_file(folder: Path, kind: str, content: dict[str, Any]) -> None:
    """Write ``model.json`` into a folder, made when it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"kind": kind, **content}, ensure_ascii=False, indent=1)
    (folder / "model.json").write_text(text + "\n", encoding="utf-8")


def read_model_file(folder: Path) -> dict[str, Any]:
    """What ``model.json`` of a folder holds.

    Raises:
        DataError: no such file.
    """
    path = folder / "model.json"
    if not path.is_file():
        raise DataError(
            "loading a model: model.json is missing",
            expected="a folder that a model was saved in",
            hint="Train again: jalon train.",
        )
    return cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))
