"""The models that are compared, behind one door: make, load, and what each must offer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from features.errors import ConfigurationError, DataError
from training.boosting import LightGBMModel
from training.logistic import LogisticModel
from training.model_file import read_model_file
from training.rows import DiskRows
from training.rule import RuleModel
from training.settings import ModelSettings

__all__ = ["LightGBMModel", "LogisticModel", "RiskModel", "RuleModel", "load_model", "make_model"]

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]


class RiskModel(Protocol):
    """What every model offers: a score in one unit, and the exact share of each feature in it.

    `raw` is log-odds for learned models; for a rule it is the ranking feature in standard
    deviations. A calibrator turns it into a probability. Missing values are NaN.
    """

    kind: str
    names: tuple[str, ...]

    def fit(self, X: Matrix | DiskRows, y: Floats) -> RiskModel:
        """Learn from rows [n, k], in memory or on disk, and labels [n] of 0 and 1."""
        ...

    def raw(self, X: Matrix) -> Floats:
        """Scores [n], larger for more risk."""
        ...

    def contributions(self, X: Matrix) -> Floats:
        """Shares [n, k + 1] of each feature, the last column being the base; rows sum to `raw`."""
        ...

    def parameters(self) -> dict[str, float | int | str]:
        """What the model was fitted with, for the record."""
        ...

    def save(self, folder: Path) -> None:
        """Write the model as JSON or the library's own text; nothing is pickled."""
        ...


def make_model(kind: str, names: Sequence[str], settings: ModelSettings) -> RiskModel:
    """A model of a kind, not fitted yet.

    Args:
        kind: ``rule``, ``logistic`` or ``lightgbm``.
        names: Names of the matrix's columns, in order.
        settings: The `training.models` section.

    Raises:
        ConfigurationError: no such kind, or a rule on a feature that is not in `names`.
    """
    if kind == "rule":
        return RuleModel(names, feature=settings.rule.feature)
    if kind == "logistic":
        return LogisticModel(names, settings=settings.logistic, seed=settings.seed)
    if kind == "lightgbm":
        return LightGBMModel(
            names, settings=settings.lightgbm, seed=settings.seed, threads=settings.threads
        )
    raise ConfigurationError(
        f"making a model of kind '{kind}'", expected="rule, logistic or lightgbm", got="another"
    )


def load_model(folder: Path) -> RiskModel:
    """The model that a folder holds, whatever its kind."""
    kinds: dict[str, Callable[[Path], RiskModel]] = {
        "rule": RuleModel.load,
        "logistic": LogisticModel.load,
        "lightgbm": LightGBMModel.load,
    }
    kind = read_model_file(folder)["kind"]
    if kind not in kinds:
        raise DataError(
            "loading a model: model.json", expected=", ".join(kinds), got="another kind"
        )
    return kinds[kind](folder)
