"""A cohort as MEDS labels, and the split of people that a territory's folds mean."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.errors import ConfigurationError, DataError
from features.meds_check import is_valid, meds_package
from training.cohort import Cohort
from training.folds import make_folds
from training.settings import CutoffFolds, TrainingSettings

__all__ = ["LABELS", "MedsLabels", "meds_labels", "splits_of_folds", "write_labels"]

_FIELDS: list[Any] = [
    pa.field("subject_id", pa.int64(), nullable=False),
    pa.field("prediction_time", pa.timestamp("us"), nullable=False),
    pa.field("boolean_value", pa.bool_(), nullable=False),
]
LABELS = pa.schema(_FIELDS)


@dataclass(frozen=True)
class MedsLabels:
    """What was written, and what was not because it has no label.

    Attributes:
        rows: Labelled rows.
        positives: Those that end in rupture.
        subjects: People with a labelled row.
        left_out: Rows by outcome: `competing`, `censored` and `prior` are no negatives.
        objecting: Rows of people who object.
    """

    rows: int
    positives: int
    subjects: int
    left_out: dict[str, int]
    objecting: int

    def as_dict(self) -> dict[str, Any]:
        """The counts as JSON takes them."""
        return asdict(self)


def meds_labels(cohort: pa.Table) -> pa.Table:
    """The labelled rows of a cohort, for programs that read MEDS labels.

    MEDS lets a program use what happened up to and including `prediction_time`; here an event at
    that very instant belongs to the horizon already. Where events bear the time of midnight,
    programs must be told to leave it out.

    Args:
        cohort: Schema `training.cohort.COHORT`.

    Returns:
        Schema :data:`LABELS`: rows that end in rupture (true) or without one (false), in order.

    Example:
        >>> from training.cohort import build_cohort
        >>> from training.example import example_events, example_features
        >>> cohort = build_cohort(example_events(), TrainingSettings(), example_features())
        >>> meds_labels(cohort.table)["boolean_value"].to_pylist()
        [False, True, True, True]
    """
    rows = cohort.filter(pc.is_valid(cohort["label"]))
    arrays: list[Any] = [
        rows["subject_id"],
        rows["prediction_time"],
        pc.equal(rows["label"], pa.scalar(1.0)),
    ]
    return pa.Table.from_arrays(arrays, schema=LABELS)


def write_labels(cohort: Cohort, file: Path, leave_out: Any = ()) -> MedsLabels:
    """The labels of a cohort in one Parquet file; labels that stood there are replaced as a whole.

    Args:
        cohort: From `training.cohort.build_cohort`.
        file: Its folder is made.
        leave_out: People who are not to be in it, int64.

    Raises:
        ConfigurationError: the `meds` package is not installed, or something else than labels
            stands in that place.
        DataError: no labelled row.
    """
    _free_or_labels(file)
    meds = meds_package()
    table = cohort.table
    objecting = pc.is_in(table["subject_id"], value_set=pa.array(leave_out, pa.int64()))
    kept = table.filter(pc.invert(objecting))
    labels = meds_labels(kept)
    faults: list[str] = [] if labels.num_rows else ["no labelled row"]
    is_valid(meds.LabelSchema, labels, file.name, faults)
    if faults:
        raise DataError(
            f"writing labels: {'; '.join(faults)}",
            expected="rows whose horizon was observed",
            got=f"{kept.num_rows} rows at risk, {labels.num_rows} of them",
            hint="Lengthen features.observation or shorten training.horizon_days.",
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.part")
    pq.write_table(labels, beside)
    os.replace(beside, file)
    counts = Cohort(kept, ()).counts()
    return MedsLabels(
        labels.num_rows,
        counts["rupture"],
        len(pc.unique(labels["subject_id"])),
        {name: counts[name] for name in ("competing", "censored", "prior")},
        table.num_rows - kept.num_rows,
    )


def splits_of_folds(
    cohort: pa.Table, settings: TrainingSettings, zone: str
) -> dict[int, str] | None:
    """The split of people that folds mean, where they divide people and not only dates.

    A cut-off fold does: its test people are `held_out`, those that the probabilities are learned
    from `tuning`. Rolling folds test people that they learn from at other dates: MEDS has no word
    for that.

    Args:
        cohort: Schema `training.cohort.COHORT`.
        settings: The `training:` section.
        zone: The territory's time zone.

    Returns:
        Split by pseudonym; whoever is not named is in `train`. None for rolling folds.

    Raises:
        DataError: parts that lack rows; see `training.folds.make_folds`.
    """
    if not isinstance(settings.folds, CutoffFolds):
        return None
    [fold] = make_folds(cohort, settings, zone)
    subjects = np.asarray(cohort["subject_id"])
    made = dict.fromkeys(subjects[fold.calibration].tolist(), "tuning")
    return made | dict.fromkeys(subjects[fold.test].tolist(), "held_out")


def _free_or_labels(file: Path) -> None:
    if not file.exists():
        return
    try:
        held = set(pq.read_schema(file).names) if file.is_file() else set()
    except (pa.ArrowException, OSError):
        held = set()
    if not {"subject_id", "prediction_time", "boolean_value"} <= held:
        raise ConfigurationError(
            f"writing labels to '{file.name}'",
            expected="a new file, or labels written before",
            got="something else in that place",
            hint="Give another place with --to.",
        )
