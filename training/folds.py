"""Temporal validation: train, gap, calibration, gap, test; no label reaches into the next part."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.errors import DataError
from features.local_days import DAY, NEVER
from training.columns import floats, micros
from training.schedule import instant
from training.settings import CutoffFolds, TrainingSettings

__all__ = ["Fold", "final_fold", "make_folds"]

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """Rows of one origin, by position in the cohort's table, and the dates between its parts.

    The horizon of every training label ends at or before the first calibration time, and that of
    every calibration label at or before the first test time.

    Attributes:
        name: ``1``, ``2``, ... from the oldest; ``final`` for the model to be served.
        train: Labelled rows to learn from.
        calibration: Labelled rows to learn the probabilities from.
        test: Labelled rows to measure on; empty in the final fold.
        dates: First and last prediction time of each part, ``AAAA-MM-DD`` local.
    """

    name: str
    train: Longs = field(repr=False)
    calibration: Longs = field(repr=False)
    test: Longs = field(repr=False)
    dates: dict[str, str]

    def as_dict(self) -> dict[str, object]:
        """Name, dates and sizes."""
        sizes = {part: len(getattr(self, part)) for part in ("train", "calibration", "test")}
        return {"name": self.name, **self.dates, "rows": sizes}


def make_folds(cohort: pa.Table, settings: TrainingSettings, zone: str) -> list[Fold]:
    """The folds of a cohort, the oldest first.

    Rolling folds test on the newest labelled months and step back by `test_months`; training always
    begins with the first row (expanding window). A cut-off fold tests on people whose anchor lies
    on or after a date, and learns from the others before the first test time. Only rows with a
    label belong to a part.

    Args:
        cohort: Schema `training.cohort.COHORT`.
        settings: The `training:` section.
        zone: The territory's time zone, in which months begin.

    Raises:
        DataError: every part that lacks rows, ruptures, or rows without one, all at once.
    """
    time, label = _columns(cohort)
    labelled = ~np.isnan(label)
    if not labelled.any():
        raise DataError(
            "making folds: no labelled row",
            expected="rows whose horizon was observed",
            got=f"{len(time)} rows, none of them",
            hint="Lengthen features.observation or shorten training.horizon_days.",
        )
    folds = []
    chosen = settings.folds
    if isinstance(chosen, CutoffFolds):
        anchor = micros(cohort["anchor_time"], NEVER)
        later = anchor >= instant(chosen.test_from, zone)
        test = labelled & later
        if not test.any():
            raise DataError(
                "making folds: no test row",
                expected=f"people whose anchor lies on or after {chosen.test_from}",
                got="none with a label",
                hint="Correct training.folds.test_from.",
            )
        start = int(time[test].min())
        last = start - settings.gap_days * DAY
        window = last - chosen.calibration_days * DAY
        calibration = labelled & ~later & (time <= last) & (time > window)
        folds.append(_fold("1", time, labelled & ~later, calibration, test, settings, zone))
    else:
        end = _month_after(int(time[labelled].max()), zone, 1)
        for step in range(chosen.count):
            test_end = _month_after(end, zone, -step * chosen.test_months)
            test_start = _month_after(test_end, zone, -chosen.test_months)
            test = labelled & (time >= test_start) & (time < test_end)
            calibration = _newest(time, labelled, test_start, settings, zone)
            name = str(chosen.count - step)
            folds.append(_fold(name, time, labelled, calibration, test, settings, zone))
    folds.reverse()
    _check(folds, label, ("train", "calibration", "test"))
    return folds


def final_fold(cohort: pa.Table, settings: TrainingSettings, zone: str) -> Fold:
    """The fold of the model to be served: calibrated on the newest labels, nothing held for tests.

    Args:
        cohort: Schema `training.cohort.COHORT`.
        settings: The `training:` section.
        zone: The territory's time zone.

    Raises:
        DataError: a part lacks rows, ruptures, or rows without one.
    """
    time, label = _columns(cohort)
    labelled = ~np.isnan(label)
    after = int(time[labelled].max()) + 1
    if isinstance(settings.folds, CutoffFolds):
        window = after - settings.folds.calibration_days * DAY
        calibration = labelled & (time >= window)
    else:
        end = _month_after(after, zone, 1)
        months = settings.folds.calibration_months
        calibration = labelled & (time >= _month_after(end, zone, -months))
    nothing = np.zeros(len(time), bool)
    fold = _fold("final", time, labelled, calibration, nothing, settings, zone)
    _check([fold], label, ("train", "calibration"))
    return fold


def _columns(cohort: pa.Table) -> tuple[Longs, npt.NDArray[np.float64]]:
    return micros(cohort["prediction_time"], NEVER), floats(cohort["label"])


def _newest(
    time: Longs,
    labelled: npt.NDArray[np.bool_],
    test_start: int,
    settings: TrainingSettings,
    zone: str,
) -> npt.NDArray[np.bool_]:
    """The newest calibration months whose labels are complete before the test begins."""
    ready = labelled & (time + settings.gap_days * DAY <= test_start)
    if not ready.any():
        return ready
    end = _month_after(int(time[ready].max()), zone, 1)
    months = settings.folds.calibration_months  # type: ignore[union-attr]
    return ready & (time >= _month_after(end, zone, -months))


def _fold(
    name: str,
    time: Longs,
    labelled: npt.NDArray[np.bool_],
    calibration: npt.NDArray[np.bool_],
    test: npt.NDArray[np.bool_],
    settings: TrainingSettings,
    zone: str,
) -> Fold:
    """Training rows are those whose labels are complete before the first calibration time."""
    train = np.zeros(len(time), bool)
    if calibration.any():
        cut = int(time[calibration].min())
        train = labelled & (time + settings.gap_days * DAY <= cut)
    dates = {}
    for part, rows in (("train", train), ("calibration", calibration), ("test", test)):
        if rows.any():
            dates[f"{part}_from"] = _local(int(time[rows].min()), zone)
            dates[f"{part}_to"] = _local(int(time[rows].max()), zone)
    return Fold(
        name, np.flatnonzero(train), np.flatnonzero(calibration), np.flatnonzero(test), dates
    )


def _check(folds: list[Fold], label: npt.NDArray[np.float64], parts: tuple[str, ...]) -> None:
    faults = []
    for fold in folds:
        for part in parts:
            rows = getattr(fold, part)
            ruptures = int(label[rows].sum())
            if len(rows) == 0 or ruptures in (0, len(rows)):
                faults.append(f"fold {fold.name} {part}: {len(rows)} rows, {ruptures} ruptures")
    if faults:
        raise DataError(
            "making folds: " + "; ".join(faults),
            expected="in every part, rows with a rupture and rows without one",
            got=f"{len(faults)} part(s) that lack them",
            hint="Use fewer folds or shorter parts (training.folds), or observe for longer.",
        )


def _local(moment: int, zone: str) -> str:
    utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)
    return utc.astimezone(ZoneInfo(zone)).date().isoformat()


def _month_after(moment: int, zone: str, months: int) -> int:
    """First of the month `months` after the one that holds a moment, 00:00 local."""
    first = np.datetime64(_local(moment, zone)[:7], "M") + np.timedelta64(months, "M")
    return instant(first.astype("datetime64[D]").astype(object), zone)
