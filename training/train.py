"""One training: cohort, matrix, folds, models compared, the winner refitted and registered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from features.errors import JalonError
from features.local_days import NEVER
from features.settings import FeaturesSettings
from training.calibration import Calibrator, choose_calibrator
from training.charts import precision_recall_points, reliability_points
from training.cohort import Cohort, build_cohort
from training.columns import floats, longs, micros
from training.evaluation import Evaluation, evaluate
from training.folds import Fold, final_fold, make_folds
from training.history import COLUMNS
from training.models import RiskModel, make_model
from training.recording import champion_settings, record
from training.report import BuildReport, ModelReport, TrainingReport
from training.settings import TrainingSettings
from training.truth import compare_with_truth, read_truth

if TYPE_CHECKING:
    from features.matrix import Matrix
    from features.territory import Territory

__all__ = ["build", "train"]

Progress = Callable[[str, float], None]
Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]


@dataclass
class _Clock:
    """Seconds spent in each step, told to whoever watches."""

    progress: Progress | None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, share: float) -> Iterator[None]:
        """Time a step that begins when `share` of the whole is done."""
        if self.progress is not None:
            self.progress(name, share)
        started = time.perf_counter()
        yield
        spent = time.perf_counter() - started
        self.seconds[name] = round(self.seconds.get(name, 0.0) + spent, 3)


@dataclass(frozen=True)
class _Fitted:
    """A model of one kind on one fold, and what it gave on the test rows."""

    model: RiskModel
    calibrator: Calibrator
    evaluation: Evaluation
    raw: Floats
    risk: Floats


def build(territory: Territory, *, progress: Progress | None = None) -> BuildReport:
    """The cohort and its feature matrix, kept in the work folder for `train`.

    Args:
        territory: An opened territory with timelines.
        progress: Told of each step and the share done.

    Raises:
        JalonError: no timelines, an empty cohort, or another training under way.
    """
    clock = _Clock(progress)
    with _alone(territory):
        return _build(territory, clock, 1.0)[0]


def train(territory: Territory, *, progress: Progress | None = None) -> TrainingReport:
    """Compare the models on the territory's folds and make the best one the champion.

    The best has the largest mean average precision over the folds; a tie goes to the larger mean
    AUC. It is fitted again on all but the newest labels, calibrated on those, and registered with
    alias ``champion``. The same data and settings give the same figures to the last digit.
    Everything lies in ``<work folder>/mlflow``; ``reports/training.json`` and ``.html`` tell it.

    Args:
        territory: An opened territory with timelines.
        progress: Told of each step and the share done.

    Returns:
        What was found, for a terminal (`text`) or a program (`as_dict`).

    Raises:
        JalonError: no timelines, folds without ruptures, or another training under way.
    """
    clock = _Clock(progress)
    with _alone(territory):
        return _train(territory, clock)


@contextmanager
def _alone(territory: Territory) -> Iterator[None]:
    """Hold the territory's training lock: two at once would mix their runs and files."""
    from filelock import FileLock, Timeout

    territory.home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(territory.home / "training.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise JalonError(
            f"training territory '{territory.name}': "
            "another training or build of features is under way",
            expected="one at a time in a work folder",
            hint="Wait for it to end, or give another work folder with --home.",
        ) from error
    try:
        _no_ingest(territory)
        yield
    finally:
        lock.release()


def _no_ingest(territory: Territory) -> None:
    """Refuse to begin on timelines that are half filled; a later ingest changes nothing here."""
    from filelock import FileLock, Timeout

    try:
        FileLock(territory.home / "ingest.lock", timeout=0).acquire().lock.release()
    except Timeout as error:
        raise JalonError(
            f"reading the timelines of territory '{territory.name}': an ingest is under way",
            expected="timelines that are whole",
            hint="Wait for it to end, then again.",
        ) from error


def _build(
    territory: Territory, clock: _Clock, whole: float
) -> tuple[BuildReport, Cohort, Matrix, TrainingSettings, FeaturesSettings]:
    from features.definitions import build_catalogue
    from features.store import build_store
    from features.timelines import Timelines

    settings = territory.section("training", TrainingSettings)
    features = territory.section("features", FeaturesSettings)
    catalogue = build_catalogue(features)
    for kind in settings.models.kinds:
        make_model(kind, catalogue.names, settings.models)
    timelines = Timelines.open(territory.home / "timelines")
    version = int(timelines.version)
    with clock.step("cohort", 0.0):
        cohort = build_cohort(timelines.read(columns=list(COLUMNS)), settings, features)
    told = clock.progress

    def share(step: str, done: float) -> None:
        if told is not None:
            told(step, whole * (0.15 + 0.85 * done))

    with clock.step("matrix", 0.15 * whole):
        rows = cohort.table.select(["subject_id", "prediction_time", "outcome"])
        folder = territory.home / "matrices"
        built = build_store(folder, timelines, rows, catalogue, progress=share)
        matrix = built.matrix.matrix()
    report = BuildReport(
        territory=territory.name,
        data_version=version,
        rows=cohort.table.num_rows,
        people=len(np.unique(longs(cohort.table["subject_id"]))),
        features=len(catalogue.names),
        outcomes=cohort.counts(),
        rules=cohort.rules(),
        attrition=[{"name": s.name, "rows": s.rows, "people": s.people} for s in cohort.attrition],
        cohort_hash=cohort.hash,
        matrix_hash=matrix.hash,
        matrix_file=str(built.matrix.file.relative_to(territory.home)),
        reused=built.computed == 0,
        parts=built.parts,
        computed=built.computed,
        columns=built.columns,
        seconds=clock.seconds,
    )
    return report, cohort, matrix, settings, features


def _train(territory: Territory, clock: _Clock) -> TrainingReport:
    report, cohort, matrix, settings, features = _build(territory, clock, 0.3)
    zone = features.timezone
    folds = make_folds(cohort.table, settings, zone)
    last = final_fold(cohort.table, settings, zone)
    # What cannot be read is said before the long work, not after it.
    known_truth = None if settings.truth is None else read_truth(territory, settings.truth)
    label = floats(cohort.table["label"])
    person = longs(cohort.table["subject_id"])
    moment = micros(cohort.table["prediction_time"], NEVER)
    kinds: tuple[str, ...] = settings.models.kinds
    fitted: dict[str, list[_Fitted]] = {kind: [] for kind in kinds}
    for number, fold in enumerate(folds):
        parts = {p: matrix.values[getattr(fold, p)] for p in ("train", "calibration", "test")}
        for kind in kinds:
            with clock.step(f"fit {kind}", 0.3 + 0.5 * number / len(folds)):
                model, calibrator = _fit(kind, matrix.names, settings, parts, fold, label, person)
                raw = model.raw(parts["test"])
            with clock.step("evaluate", 0.3 + 0.5 * (number + 0.9) / len(folds)):
                risk = calibrator.risk(raw)
                evaluation = evaluate(
                    label[fold.test],
                    raw,
                    risk,
                    person[fold.test],
                    moment[fold.test],
                    capacity=settings.capacity,
                    bootstrap=settings.bootstrap,
                    seed=settings.models.seed,
                )
            fitted[kind].append(_Fitted(model, calibrator, evaluation, raw, risk))
    models = [
        ModelReport(
            kind,
            [f.evaluation for f in fitted[kind]],
            [f.calibrator.method for f in fitted[kind]],
        )
        for kind in kinds
    ]
    best = max(models, key=lambda m: (m.mean["average_precision"], m.mean["auc"])).kind
    with clock.step("final fit", 0.82):
        parts = {p: matrix.values[getattr(last, p)] for p in ("train", "calibration")}
        model, calibrator = _fit(best, matrix.names, settings, parts, last, label, person)
    truth = None
    if known_truth is not None:
        with clock.step("truth", 0.9):
            tests = [
                (fold.test, {kind: fitted[kind][i].raw for kind in kinds})
                for i, fold in enumerate(folds)
            ]
            truth = compare_with_truth(known_truth, cohort.table, tests)
    newest = label[folds[-1].test]
    charts = {
        "reliability": {k: reliability_points(newest, fitted[k][-1].risk) for k in kinds},
        "precision_recall": {k: precision_recall_points(newest, fitted[k][-1].raw) for k in kinds},
    }
    result = TrainingReport(
        build=report,
        folds=[fold.as_dict() for fold in (*folds, last)],
        models=models,
        champion={"kind": best, "calibration": calibrator.method, "version": "", "run_id": ""},
        capacity=settings.capacity,
        horizon_days=settings.horizon_days,
        truth=truth,
        seconds=clock.seconds,
        charts=charts,
    )
    with clock.step("register", 0.92):
        known = champion_settings(result, matrix, settings, features, last, float(newest.mean()))
        return record(territory, result, settings, model, calibrator, matrix, known)


def _fit(
    kind: str,
    names: Sequence[str],
    settings: TrainingSettings,
    parts: Mapping[str, npt.NDArray[np.float32]],
    fold: Fold,
    label: Floats,
    person: Longs,
) -> tuple[RiskModel, Calibrator]:
    model = make_model(kind, names, settings.models).fit(parts["train"], label[fold.train])
    calibrator = choose_calibrator(
        model.raw(parts["calibration"]),
        label[fold.calibration],
        person[fold.calibration],
        seed=settings.models.seed,
    )
    return model, calibrator
