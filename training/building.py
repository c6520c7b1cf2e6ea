"""The cohort of a territory and its feature matrix, dense or sparse, kept in the work folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from features.errors import ConfigurationError, JalonError
from features.settings import FeaturesSettings
from training.cohort import Cohort, build_cohort
from training.columns import longs
from training.history import COLUMNS
from training.models import make_model
from training.report import BuildReport, SparseReport
from training.settings import TrainingSettings

if TYPE_CHECKING:
    from features.stored_matrix import StoredMatrix
    from features.territory import Territory
    from features.timelines import Timelines

__all__ = ["Built", "Clock", "alone", "build", "build_rows", "build_wide"]

Progress = Callable[[str, float], None]


@dataclass
class Clock:
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
class Built:
    """A cohort and its matrix, for a training.

    Attributes:
        report: What they are.
        cohort: The rows, with their labels.
        matrix: The features of the rows, on disk.
        settings: The `training:` section.
        features: The `features:` section.
    """

    report: BuildReport
    cohort: Cohort
    matrix: StoredMatrix
    settings: TrainingSettings
    features: FeaturesSettings


def build(territory: Territory, *, progress: Progress | None = None) -> BuildReport:
    """The cohort and its feature matrix, kept in the work folder for `train`.

    Args:
        territory: An opened territory with timelines.
        progress: Told of each step and the share done.

    Raises:
        JalonError: no timelines, an empty cohort, or another training under way.
    """
    clock = Clock(progress)
    with alone(territory):
        return build_rows(territory, clock, 1.0).report


def build_wide(territory: Territory, *, progress: Progress | None = None) -> SparseReport:
    """The cohort's features in compressed sparse rows, for catalogues of thousands of columns.

    It takes the columns whose unwritten values are 0 (count, any, sum and trend, up to the
    prediction time), which SciPy and LightGBM read as they are. The others are counted in the
    report, and `build` makes them.

    Args:
        territory: An opened territory with timelines.
        progress: Told of each step and the share done.

    Raises:
        JalonError: no timelines, an empty cohort, another training under way, or no such column.
    """
    from features.definitions import build_catalogue
    from features.sparse import build_sparse, sparse_as_zero

    clock = Clock(progress)
    with alone(territory):
        settings = territory.section("training", TrainingSettings)
        features = territory.section("features", FeaturesSettings)
        whole = build_catalogue(features)
        chosen = [feature.name for feature in whole.features if sparse_as_zero(feature)]
        if not chosen:
            raise ConfigurationError(
                f"building a sparse matrix of territory '{territory.name}'",
                expected="columns of count, any, sum or trend, up to the prediction time",
                got=f"none of {len(whole)}",
                hint=f"Build a dense one: jalon features build {territory.name}",
            )
        catalogue = whole.only(chosen) if len(chosen) < len(whole) else whole
        timelines, cohort = _cohort(territory, clock, settings, features)

        def share(step: str, done: float) -> None:
            if progress is not None:
                progress(step, 0.15 + 0.85 * done)

        with clock.step("matrix", 0.15):
            rows = cohort.table.select(["subject_id", "prediction_time", "outcome"])
            folder = territory.home / "sparse"
            matrix = build_sparse(folder, timelines, rows, catalogue, progress=share)
    return SparseReport(
        territory=territory.name,
        data_version=int(timelines.version),
        rows=matrix.rows,
        people=len(np.unique(longs(cohort.table["subject_id"]))),
        features=matrix.columns,
        left_out=len(whole) - len(chosen),
        values=matrix.values,
        cohort_hash=cohort.hash,
        catalogue_hash=matrix.catalogue_hash,
        matrix_hash=matrix.hash,
        matrix_file=str(matrix.file.relative_to(territory.home)),
        reused=matrix.computed == 0,
        parts=len(matrix.sizes),
        computed=matrix.computed,
        seconds=clock.seconds,
    )


@contextmanager
def alone(territory: Territory) -> Iterator[None]:
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


def _cohort(
    territory: Territory, clock: Clock, settings: TrainingSettings, features: FeaturesSettings
) -> tuple[Timelines, Cohort]:
    from features.timelines import Timelines

    timelines = Timelines.open(territory.home / "timelines")
    with clock.step("cohort", 0.0):
        return timelines, build_cohort(timelines.read(columns=list(COLUMNS)), settings, features)


def build_rows(territory: Territory, clock: Clock, whole: float) -> Built:
    """As `build`, for whoever holds the lock and goes on with it.

    Args:
        territory: An opened territory with timelines.
        clock: Times the steps.
        whole: The share of the work under way that this is.
    """
    from features.definitions import build_catalogue
    from features.store import build_store

    settings = territory.section("training", TrainingSettings)
    features = territory.section("features", FeaturesSettings)
    catalogue = build_catalogue(features)
    for kind in settings.models.kinds:
        make_model(kind, catalogue.names, settings.models)
    timelines, cohort = _cohort(territory, clock, settings, features)
    told = clock.progress

    def share(step: str, done: float) -> None:
        if told is not None:
            told(step, whole * (0.15 + 0.85 * done))

    with clock.step("matrix", 0.15 * whole):
        rows = cohort.table.select(["subject_id", "prediction_time", "outcome"])
        folder = territory.home / "matrices"
        built = build_store(folder, timelines, rows, catalogue, progress=share)
        matrix_hash = built.matrix.content_hash()
    report = BuildReport(
        territory=territory.name,
        data_version=int(timelines.version),
        rows=cohort.table.num_rows,
        people=len(np.unique(longs(cohort.table["subject_id"]))),
        features=len(catalogue.names),
        outcomes=cohort.counts(),
        rules=cohort.rules(),
        attrition=[{"name": s.name, "rows": s.rows, "people": s.people} for s in cohort.attrition],
        cohort_hash=cohort.hash,
        matrix_hash=matrix_hash,
        matrix_file=str(built.matrix.file.relative_to(territory.home)),
        reused=built.computed == 0,
        parts=built.parts,
        computed=built.computed,
        columns=built.columns,
        seconds=clock.seconds,
    )
    return Built(report, cohort, built.matrix, settings, features)
