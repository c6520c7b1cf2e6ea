"""Runs, models and the champion's alias in MLflow: the only door to it.

MLflow lives in ``<work folder>/mlflow``: a SQLite file and an artifacts folder. Its database writes
absolute addresses; Jalon reads a model by its identifier under the present work folder, so a folder
that was moved or copied still serves, and a new training there starts a new experiment.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import JalonError
from training.champion import Champion, load_folder

if TYPE_CHECKING:
    from features.territory import Territory

__all__ = ["ALIAS", "Champion", "Registry", "fingerprint", "load_champion", "open_registry"]

ALIAS = "champion"
PIECE = 400
"""Metrics in one call: MLflow takes at most 1,000."""


@dataclass(frozen=True)
class Registry:
    """An open MLflow database and the territory's experiment in it.

    Attributes:
        name: Name of the experiment and of the registered model: the territory's.
        folder: ``<work folder>/mlflow``.
        client: MLflow's client on that database.
        experiment_id: The territory's experiment.
    """

    name: str
    folder: Path
    client: Any
    experiment_id: str

    def start(
        self,
        title: str,
        *,
        parent: str | None = None,
        params: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Begin a run and note its parameters; returns its id."""
        from mlflow.entities import Param

        marks = dict(tags or {})
        if parent is not None:
            marks["mlflow.parentRunId"] = parent
        run = self.client.create_run(self.experiment_id, run_name=title, tags=marks)
        found = [Param(key, str(value)) for key, value in (params or {}).items()]
        for start in range(0, len(found), 100):
            self.client.log_batch(run.info.run_id, params=found[start : start + 100])
        return str(run.info.run_id)

    def metrics(self, run_id: str, values: Mapping[str, float], *, step: int = 0) -> None:
        """Note figures; those that are not finite are left out (MLflow has no place for them)."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        found = [
            Metric(key, float(value), now, step)
            for key, value in values.items()
            if value == value and abs(value) != float("inf")
        ]
        for start in range(0, len(found), PIECE):
            self.client.log_batch(run_id, metrics=found[start : start + PIECE])

    def dataset(self, run_id: str, *, digest: str, source: str, schema: str, rows: str) -> None:
        """Note which data a run learned from; `digest` is the matrix hash."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        data = Dataset(
            name=f"{self.name}-matrix",
            digest=digest[:32],
            source_type="delta",
            source=source,
            schema=schema,
            profile=rows,
        )
        tagged = DatasetInput(data, [InputTag("mlflow.data.context", "training")])
        self.client.log_inputs(run_id, [tagged])

    def files(self, run_id: str, folder: Path, into: str | None = None) -> None:
        """Keep the files of a folder with a run."""
        self.client.log_artifacts(run_id, str(folder), into)

    def end(self, run_id: str, *, failed: bool = False) -> None:
        """Close a run."""
        self.client.set_terminated(run_id, "FAILED" if failed else "FINISHED")

    def champion_of(self, mark: str) -> tuple[str, str] | None:
        """Version and run of the champion when it is the same training, else None.

        Args:
            mark: The :func:`fingerprint` of a training.
        """
        from mlflow.exceptions import MlflowException

        try:
            version = self.client.get_model_version_by_alias(self.name, ALIAS)
        except MlflowException:
            return None
        if version.tags.get("fingerprint") != mark:
            return None
        return str(version.version), str(version.run_id)

    def register(
        self,
        run_id: str,
        folder: Path,
        *,
        names: Sequence[str],
        params: Mapping[str, object],
        tags: Mapping[str, str],
    ) -> str:
        """Log a saved model with its signature, register it and make it the champion.

        Args:
            run_id: The run that made it.
            folder: What `training.champion.save_folder` wrote.
            names: Feature names: the signature's float32 columns, in order.
            params: Parameters of the model.
            tags: Tags of the version.

        Returns:
            The version's number, as MLflow writes it.
        """
        from mlflow.exceptions import MlflowException

        client = self.client
        logged = client.create_logged_model(
            self.experiment_id,
            name=self.name,
            source_run_id=run_id,
            params={key: str(value) for key, value in params.items()},
            model_type="risk",
        )
        with tempfile.TemporaryDirectory() as scratch:
            packed = Path(scratch) / "model"
            named = shutil.copytree(folder, Path(scratch) / "champion")
            _pack(packed, named, names, run_id, logged.model_id)
            client.log_model_artifacts(logged.model_id, str(packed))
        client.finalize_logged_model(logged.model_id, "READY")
        try:
            client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        version = client.create_model_version(
            self.name,
            source=logged.artifact_location,
            run_id=run_id,
            tags={**tags, "model_id": logged.model_id},
            model_id=logged.model_id,
        )
        client.set_registered_model_alias(self.name, ALIAS, version.version)
        return str(version.version)


def fingerprint(content: Mapping[str, object]) -> str:
    """What makes two trainings the same: SHA-256 of data, settings, parameters and figures."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def open_registry(territory: Territory) -> Registry:
    """The territory's MLflow, made on first use.

    The caller holds the territory's training lock: MLflow's first migration must not run twice.
    """
    folder = (territory.home / "mlflow").resolve()
    artifacts = folder / "artifacts"
    artifacts.mkdir(parents=True, exist_ok=True)
    client = _client(folder)
    found = client.get_experiment_by_name(territory.name)
    if found is not None and found.artifact_location != artifacts.as_uri():
        client.rename_experiment(found.experiment_id, f"{territory.name} ({found.experiment_id})")
        found = None
    if found is None:
        experiment_id = client.create_experiment(territory.name, artifacts.as_uri())
    else:
        experiment_id = found.experiment_id
    return Registry(territory.name, folder, client, str(experiment_id))


def load_champion(territory: Territory) -> Champion:
    """The territory's champion, read from the files of its version.

    Args:
        territory: Whose model; its name is the registered model's.

    Returns:
        A model that scores matrices; MLflow and scikit-learn are not needed to use it.

    Raises:
        JalonError: nothing was trained yet, or the files of the version are gone.
    """
    folder = (territory.home / "mlflow").resolve()
    if not (folder / "mlflow.db").is_file():
        raise _no_champion(territory)
    from mlflow.exceptions import MlflowException

    try:
        version = _client(folder).get_model_version_by_alias(territory.name, ALIAS)
    except MlflowException as error:
        raise _no_champion(territory) from error
    files = folder / "artifacts" / "models" / version.tags["model_id"] / "artifacts"
    return load_folder(
        files / "artifacts" / "champion", version=str(version.version), run_id=str(version.run_id)
    )


def _no_champion(territory: Territory) -> JalonError:
    return JalonError(
        f"loading the champion of territory '{territory.name}'",
        expected=f"a model with alias '{ALIAS}' in the work folder",
        got="none",
        hint=f"Train one: jalon train {territory.called}",
    )


def _client(folder: Path) -> Any:
    """MLflow's client on a folder's database, without messages home."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from filelock import FileLock
    from mlflow import MlflowClient

    address = f"sqlite:///{folder / 'mlflow.db'}"
    # Opening migrates the database: a service that starts during a first training waits for it.
    with _quiet(), FileLock(folder / "opening.lock", timeout=120):
        return MlflowClient(tracking_uri=address, registry_uri=address)


@contextmanager
def _quiet() -> Iterator[None]:
    """MLflow's migrations report at INFO on standard error: not for a caseworker's terminal."""
    import logging

    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Of its own tables (SQLAlchemy 2.1: ``noload``) and type hints, at import: not ours.
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _pack(packed: Path, folder: Path, names: Sequence[str], run_id: str, model_id: str) -> None:
    """An MLflow model from code: this package's file, the model's text files, the signature."""
    with _quiet():
        from mlflow.models import Model, ModelSignature
        from mlflow.pyfunc import save_model
        from mlflow.types import ColSpec, DataType, Schema

        signature = ModelSignature(
            inputs=Schema([ColSpec(DataType.float, name) for name in names]),
            outputs=Schema([ColSpec(DataType.double, "risk")]),
        )
        save_model(
            path=str(packed),
            python_model=str(Path(__file__).with_name("mlflow_model.py")),
            artifacts={"champion": str(folder)},
            signature=signature,
            pip_requirements=["jalon"],
            mlflow_model=Model(run_id=run_id, model_id=model_id),
        )
