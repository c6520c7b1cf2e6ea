"""(h) OULAD through the engine: the test AUC of each model with few columns and with all.

The exports are read from JALON_DATA, or from ../shared/data. `oulad_thin.txt` names the columns of
the territory's first catalogue. Both sets of columns have the same rows, folds, models and seeds.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.kept import FOLDER
from benchmarks.shown import Shown, verdict
from features.definitions import build_catalogue
from features.ingest import ingest
from features.local_days import NEVER
from features.matrix import compute_matrix
from features.settings import FeaturesSettings
from features.territory import Territory
from features.timelines import Timelines
from training.cohort import build_cohort
from training.columns import floats, longs, micros
from training.evaluation import Evaluation, evaluate
from training.folds import Fold, make_folds
from training.history import COLUMNS
from training.models import make_model
from training.settings import TrainingSettings

__all__ = ["run", "thin_names"]


def thin_names() -> tuple[str, ...]:
    """Columns of the territory's first catalogue."""
    return tuple((Path(__file__).parent / "oulad_thin.txt").read_text("utf-8").split())


def run() -> Iterator[Shown]:
    """Ingest, matrix, and three models with either set of columns; the kept timelines are new.

    Raises:
        FileNotFoundError: the exports are not there.
    """
    home = FOLDER / "oulad"
    shutil.rmtree(home, ignore_errors=True)
    territory = Territory.open("oulad", home=home, data=_exports())
    started = time.perf_counter()
    ingest(territory)
    seconds = time.perf_counter() - started
    timelines = Timelines.open(home / "timelines")
    history = timelines.read(columns=list(COLUMNS))
    yield Shown("h", "OULAD: five exports to timelines", history.num_rows, seconds)

    features = territory.section("features", FeaturesSettings)
    settings = territory.section("training", TrainingSettings)
    cohort = build_cohort(history, settings, features).table
    catalogue = build_catalogue(features)
    rows = cohort.select(["subject_id", "prediction_time"])
    compute_matrix(timelines, rows.slice(0, 100), catalogue)
    started = time.perf_counter()
    full = compute_matrix(timelines, rows, catalogue).values
    seconds = time.perf_counter() - started
    yield Shown("h", f"OULAD: weekly matrix, {len(catalogue)} columns", len(full), seconds)

    few = thin_names()
    thin = np.ascontiguousarray(full[:, [catalogue.places[name] for name in few]])
    [fold] = make_folds(cohort, settings, features.timezone)
    auc: dict[tuple[str, int], float] = {}
    for kind in settings.models.kinds:
        for names, values in ((few, thin), (catalogue.names, full)):
            started = time.perf_counter()
            model = make_model(kind, names, settings.models)
            model.fit(values[fold.train], floats(cohort["label"])[fold.train])
            raw = model.raw(values[fold.test])
            seconds = time.perf_counter() - started
            found = _figures(raw, cohort, fold, settings)
            auc[kind, len(names)] = found.figures["auc"]
            note = ", ".join(
                f"{called} {_with_ends(found, name)}"
                for called, name in (("AUC", "auc"), ("AP", "average_precision"))
            )
            if (kind, names) == ("lightgbm", catalogue.names):
                before = auc[kind, len(few)]
                note += "; " + verdict(
                    "AUC above the first catalogue's", auc[kind, len(names)] > before
                )
            yield Shown("h", f"OULAD: {kind}, {len(names)} columns", 0, seconds, None, note)


def _figures(
    raw: npt.NDArray[np.float64], cohort: pa.Table, fold: Fold, settings: TrainingSettings
) -> Evaluation:
    """As the training report's: the test rows of the fold, persons resampled."""
    return evaluate(
        floats(cohort["label"])[fold.test],
        raw,
        1 / (1 + np.exp(-raw)),
        longs(cohort["subject_id"])[fold.test],
        micros(cohort["prediction_time"], NEVER)[fold.test],
        capacity=settings.capacity,
        bootstrap=settings.bootstrap,
        seed=settings.models.seed,
    )


def _with_ends(found: Evaluation, name: str) -> str:
    ends = found.intervals.get(name)
    between = "" if ends is None else f" ({ends[0]:.3f} to {ends[1]:.3f})"
    return f"{found.figures[name]:.3f}{between}"


def _exports() -> Path:
    given = os.environ.get("JALON_DATA")
    bases = [Path(given)] if given else []
    bases.append(Path(__file__).parents[2] / "shared" / "data")
    for base in bases:
        for folder in (base / "oulad", base):
            if (folder / "registrations.parquet").is_file():
                return folder
    raise FileNotFoundError("OULAD exports not found. Hint: Set JALON_DATA to their folder")
