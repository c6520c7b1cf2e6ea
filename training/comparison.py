"""Part of the features beside all of them: what the others bring, on the same rows and folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import numpy.typing as npt

from features.errors import ConfigurationError
from training.calibration import choose_calibrator
from training.evaluation import Evaluation, evaluate
from training.folds import Fold
from training.models import make_model
from training.report import ModelReport
from training.rows import DiskRows
from training.settings import TrainingSettings

__all__ = ["Beside", "SubsetReport", "columns_of"]

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SubsetReport:
    """What the models reach with a part of the features.

    Attributes:
        name: The part's name in the territory file.
        features: How many columns it has.
        models: The learned models on every fold; the rule of current practice is left out, for it
            looks at one column.
    """

    name: str
    features: int
    models: Sequence[ModelReport]

    def as_dict(self) -> dict[str, object]:
        """Plain content, for JSON."""
        return {
            "name": self.name,
            "features": self.features,
            "models": [model.as_dict() for model in self.models],
        }


def columns_of(names: Sequence[str], subsets: Mapping[str, Sequence[str]]) -> dict[str, Longs]:
    """The columns of each part of the features.

    Args:
        names: Names of the matrix's columns, in order.
        subsets: `training.subsets` of the territory file: names of features, with `*` for anything.

    Returns:
        int64 positions in `names`, ascending, by the name of the part.

    Raises:
        ConfigurationError: every pattern that matches no feature.

    Example:
        >>> names = ("seen.count.30d", "seen.count.90d", "missed.count.30d")
        >>> columns_of(names, {"thin": ["seen.*"]})["thin"].tolist()
        [0, 1]
        >>> columns_of(names, {"thin": ["sen.*"]})
        Traceback (most recent call last):
        features.errors.ConfigurationError: training.subsets: thin: 'sen.*' matches no feature. \
Expected names of the catalogue's 3 features, with * for anything; got 1 pattern(s) without a \
feature. Hint: List them: jalon features list TERRITORY.
    """
    faults = [
        f"{name}: '{pattern}' matches no feature"
        for name, patterns in subsets.items()
        for pattern in patterns
        if not any(fnmatchcase(one, pattern) for one in names)
    ]
    if faults:
        raise ConfigurationError(
            f"training.subsets: {'; '.join(faults)}",
            expected=f"names of the catalogue's {len(names)} features, with * for anything",
            got=f"{len(faults)} pattern(s) without a feature",
            hint="List them: jalon features list TERRITORY.",
        )
    return {
        name: np.array(
            [at for at, one in enumerate(names) if any(fnmatchcase(one, p) for p in patterns)],
            np.int64,
        )
        for name, patterns in subsets.items()
    }


class Beside:
    """Fits the learned models with parts of the features, fold by fold, on the rows of the fold.

    Args:
        names: Names of the matrix's columns, in order.
        settings: The `training:` section.
        label: float64 [rows of the cohort] 0 or 1, NaN where there is none.
        person: int64 [rows of the cohort].
        moment: int64 [rows of the cohort] prediction times, microseconds UTC.

    Raises:
        ConfigurationError: a pattern that matches no feature.
    """

    def __init__(
        self,
        names: Sequence[str],
        settings: TrainingSettings,
        label: Floats,
        person: Longs,
        moment: Longs,
    ) -> None:
        self.names, self.settings = names, settings
        self.label, self.person, self.moment = label, person, moment
        self.columns = columns_of(names, settings.subsets)
        self.kinds = tuple(kind for kind in settings.models.kinds if kind != "rule")
        self._found: dict[tuple[str, str], list[tuple[Evaluation, str]]] = {}

    def fold(self, fold: Fold, parts: Mapping[str, Matrix | DiskRows]) -> None:
        """Fit and measure on one fold.

        The columns of a part of the features are copied into memory, one part after another.

        Args:
            fold: Which rows of the cohort are which.
            parts: float32 [rows, columns] of `train`, `calibration` and `test`.
        """
        settings, label = self.settings, self.label
        for name, columns in self.columns.items():
            values = {part: _chosen(rows, columns) for part, rows in parts.items()}
            few = [self.names[column] for column in columns.tolist()]
            for kind in self.kinds:
                model = make_model(kind, few, settings.models)
                model.fit(values["train"], label[fold.train])
                calibrator = choose_calibrator(
                    model.raw(values["calibration"]),
                    label[fold.calibration],
                    self.person[fold.calibration],
                    seed=settings.models.seed,
                )
                raw = model.raw(values["test"])
                evaluation = evaluate(
                    label[fold.test],
                    raw,
                    calibrator.risk(raw),
                    self.person[fold.test],
                    self.moment[fold.test],
                    capacity=settings.capacity,
                    bootstrap=settings.bootstrap,
                    seed=settings.models.seed,
                )
                found = self._found.setdefault((name, kind), [])
                found.append((evaluation, calibrator.method))

    def reports(self) -> list[SubsetReport]:
        """What was found, a part of the features after another; empty when none is named."""
        reports = []
        for name, columns in self.columns.items():
            models = []
            for kind in self.kinds:
                found = self._found[name, kind]
                models.append(ModelReport(kind, [e for e, _ in found], [m for _, m in found]))
            reports.append(SubsetReport(name, len(columns), models))
        return reports


def _chosen(rows: Matrix | DiskRows, columns: Longs) -> Matrix:
    """Some columns of rows in memory or on disk, as an array."""
    if not isinstance(rows, DiskRows):
        return np.ascontiguousarray(rows[:, columns])
    found = np.empty((len(rows), len(columns)), np.float32)
    start = 0
    for block in rows.blocks():
        np.take(block, columns, axis=1, out=found[start : start + len(block)])
        start += len(block)
    return found
