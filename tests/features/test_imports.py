"""Importing the front rooms pulls nothing heavy: a command line answers at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("bentoml", "duckdb", "lightgbm", "mlflow", "numba", "pandas", "shap", "sklearn")


@pytest.mark.parametrize("module", ["features", "training", "serving", "jalon"])
def test_import_is_light(module: str) -> None:
    code = f"import sys, {module}; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_every_exported_name_exists() -> None:
    import features
    import serving
    import training

    for package in (features, training, serving):
        assert len(package.__all__) <= 10
        for name in package.__all__:
            assert getattr(package, name) is not None
