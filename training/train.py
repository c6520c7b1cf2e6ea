"""One training: cohort, matrix, folds, models compared, the winner refitted and registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from features.local_days import NEVER
from training.building import Clock, alone, build, build_rows
from training.calibration import Calibrator, choose_calibrator
from training.charts import precision_recall_points, reliability_points
from training.columns import floats, longs, micros
from training.comparison import Beside
from training.evaluation import Evaluation, evaluate
from training.folds import Fold, final_fold, make_folds
from training.models import RiskModel, make_model
from training.recording import champion_settings, record
from training.report import ModelReport, TrainingReport
from training.rows import DiskRows
from training.settings import TrainingSettings
from training.truth import compare_with_truth, read_truth

if TYPE_CHECKING:
    from features.territory import Territory

__all__ = ["build", "train"]

Progress = Callable[[str, float], None]
Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Fitted:
    """A model of one kind on one fold, and what it gave on the test rows."""

    model: RiskModel
    calibrator: Calibrator
    evaluation: Evaluation
    raw: Floats
    risk: Floats


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
    clock = Clock(progress)
    with alone(territory):
        return _train(territory, clock)


def _train(territory: Territory, clock: Clock) -> TrainingReport:
    built = build_rows(territory, clock, 0.3)
    report, cohort, matrix = built.report, built.cohort, built.matrix
    settings, features, catalogue = built.settings, built.features, matrix.catalogue
    names = catalogue.names
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
    beside = Beside(catalogue.names, settings, label, person, moment)
    for number, fold in enumerate(folds):
        parts = {p: DiskRows(matrix, getattr(fold, p)) for p in ("train", "calibration", "test")}
        for kind in kinds:
            with clock.step(f"fit {kind}", 0.3 + 0.5 * number / len(folds)):
                model, calibrator = _fit(
                    kind, catalogue.names, settings, parts, fold, label, person
                )
                raw = parts["test"].apply(model.raw)
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
        if settings.subsets:
            with clock.step("parts of the features", 0.3 + 0.5 * (number + 0.95) / len(folds)):
                beside.fold(fold, parts)
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
        parts = {p: DiskRows(matrix, getattr(last, p)) for p in ("train", "calibration")}
        model, calibrator = _fit(best, names, settings, parts, last, label, person)
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
        subsets=beside.reports(),
    )
    with clock.step("register", 0.92):
        peers, prevalence = matrix.peers(), float(newest.mean())
        known = champion_settings(result, catalogue, peers, settings, features, last, prevalence)
        return record(territory, result, settings, model, calibrator, catalogue, peers, known)


def _fit(
    kind: str,
    names: Sequence[str],
    settings: TrainingSettings,
    parts: Mapping[str, DiskRows],
    fold: Fold,
    label: Floats,
    person: Longs,
) -> tuple[RiskModel, Calibrator]:
    model = make_model(kind, names, settings.models).fit(parts["train"], label[fold.train])
    calibrator = choose_calibrator(
        parts["calibration"].apply(model.raw),
        label[fold.calibration],
        person[fold.calibration],
        seed=settings.models.seed,
    )
    return model, calibrator
