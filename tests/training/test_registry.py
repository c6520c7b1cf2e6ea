"""MLflow: what is noted, how the champion is found again, and that nothing is pickled."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from features.errors import DataError, JalonError
from features.matrix import Matrix
from training.registry import ALIAS, load_champion, open_registry

Trained = tuple[Any, Any]


def matrix_of(territory: Any, report: Any) -> Matrix:
    return Matrix.load(territory.home / report.build.matrix_file)


def model_folder(territory: Any) -> Path:
    return next((territory.home / "mlflow" / "artifacts" / "models").iterdir()) / "artifacts"


def test_champion_scores(trained: Trained) -> None:
    territory, report = trained
    champion = load_champion(territory)
    matrix = matrix_of(territory, report)
    scores = champion.score(matrix)
    assert champion.version == report.champion["version"] == "1"
    assert champion.run_id == report.champion["run_id"]
    assert champion.model.kind == report.champion["kind"]
    assert scores.risk.shape == scores.raw.shape == (len(matrix.values),)
    assert ((scores.risk > 0) & (scores.risk < 1)).all()
    np.testing.assert_allclose(scores.contributions.sum(axis=1), scores.raw, atol=1e-6)
    assert champion.settings["matrix_hash"] == report.build.matrix_hash
    assert champion.settings["horizon_days"] == 90


def test_another_catalogue_is_refused(trained: Trained) -> None:
    territory, report = trained
    champion = load_champion(territory)
    matrix = matrix_of(territory, report)
    fewer = type(matrix.catalogue)(matrix.catalogue.features[:-1])
    other = Matrix(matrix.values[:, :-1], fewer, matrix.cohort, matrix.last_seen[:, :-1])
    with pytest.raises(DataError, match="1 names differ"):
        champion.score(other)


def test_a_copied_work_folder_serves(trained: Trained, tmp_path: Path) -> None:
    territory, report = trained
    shutil.copytree(territory.home / "mlflow", tmp_path / "mlflow")
    moved = SimpleNamespace(home=tmp_path, name=territory.name)
    champion = load_champion(moved)  # type: ignore[arg-type]
    matrix = matrix_of(territory, report)
    expected = load_champion(territory).score(matrix).risk
    np.testing.assert_array_equal(champion.score(matrix).risk, expected)
    registry = open_registry(moved)  # type: ignore[arg-type]
    run = registry.start("after the move")
    registry.files(run, territory.home / "reports")
    registry.end(run)
    assert list((tmp_path / "mlflow" / "artifacts").glob(f"{run}/artifacts/training.json"))


def test_signature_is_float32_in_and_float64_out(trained: Trained) -> None:
    territory, _ = trained
    told = yaml.safe_load((model_folder(territory) / "MLmodel").read_text(encoding="utf-8"))
    inputs = json.loads(told["signature"]["inputs"])
    names = load_champion(territory).catalogue.names
    assert [(c["name"], c["type"], c["required"]) for c in inputs] == [
        (name, "float", True) for name in names
    ]
    assert json.loads(told["signature"]["outputs"]) == [
        {"name": "risk", "type": "double", "required": True}
    ]
    assert not list(model_folder(territory).rglob("*.pkl"))
    for file in model_folder(territory).rglob("*"):
        if file.is_file():
            file.read_text(encoding="utf-8")


def test_mlflow_loads_the_same_model(trained: Trained) -> None:
    territory, report = trained
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.pyfunc import load_model

        model = load_model(str(model_folder(territory)))
    matrix = matrix_of(territory, report)
    risk = model.predict(matrix.frame().reset_index(drop=True))["risk"].to_numpy()
    np.testing.assert_array_equal(risk, load_champion(territory).score(matrix).risk)


def test_what_a_training_leaves_in_mlflow(trained: Trained) -> None:
    territory, report = trained
    client = open_registry(territory).client
    run = client.get_run(report.champion["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.params["rupture.R6.days"] == "45"
    assert run.data.params["models.lightgbm.trees"] == "25"
    data = run.inputs.dataset_inputs[0].dataset
    assert json.loads(data.source) == {
        "delta_version": report.build.data_version,
        "cohort_hash": report.build.cohort_hash,
        "matrix_hash": report.build.matrix_hash,
        "catalogue_hash": load_champion(territory).catalogue.hash,
    }
    files = {f.path for f in client.list_artifacts(run.info.run_id)}
    assert files >= {
        "features.json",
        "folds.json",
        "reliability.svg",
        "precision_recall.svg",
        "report",
    }
    children = client.search_runs(
        [run.info.experiment_id], f"tags.mlflow.parentRunId = '{run.info.run_id}'"
    )
    found = {child.data.tags["kind"]: child for child in children}
    assert set(found) == {"rule", "logistic", "lightgbm"}
    for model in report.models:
        child = found[model.kind]
        assert child.data.metrics["mean_auc"] == model.mean["auc"]
        history = client.get_metric_history(child.info.run_id, "auc")
        assert [m.value for m in sorted(history, key=lambda m: m.step)] == [
            fold.figures["auc"] for fold in model.folds
        ]
    version = client.get_model_version_by_alias(territory.name, ALIAS)
    assert version.run_id == run.info.run_id


def test_no_champion_says_what_to_do(tmp_path: Path) -> None:
    nothing = SimpleNamespace(home=tmp_path, name="elsewhere", called="elsewhere")
    with pytest.raises(JalonError, match="Train one: jalon train elsewhere"):
        load_champion(nothing)  # type: ignore[arg-type]


def test_using_a_champion_needs_no_training_stack(trained: Trained) -> None:
    """Loading the files and scoring pull neither scikit-learn nor MLflow."""
    territory, report = trained
    files = str(model_folder(territory) / "artifacts" / "champion")
    code = (
        "import sys; from pathlib import Path\n"
        "from training.champion import load_folder; from features.matrix import Matrix\n"
        f"champion = load_folder(Path({files!r}))\n"
        f"champion.score(Matrix.load({str(territory.home / report.build.matrix_file)!r}))\n"
        "print(*[m for m in ('sklearn.linear_model', 'mlflow', 'shap') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
