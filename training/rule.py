"""Current practice as a model: people are ranked by one feature."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from features.errors import ConfigurationError, DataError
from training.model_file import read_model_file, write_model_file
from training.rows import DiskRows

__all__ = ["RuleModel"]

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]


class RuleModel:
    """Ranks people by one feature, the largest first: what is done today without a model.

    A missing value counts as the largest seen in training (never seen = longest ago). It is assumed
    that the feature grows with risk; where it does not, the AUC falls under 0.5 and says so.

    Example:
        >>> X = np.array([[3.0], [30.0], [np.nan], [90.0]], np.float32)
        >>> model = RuleModel(("days",), feature="days").fit(X, np.array([0.0, 0.0, 1.0, 1.0]))
        >>> model.raw(X).round(2).tolist()
        [0.08, 0.79, 2.37, 2.37]
        >>> RuleModel(("days",), feature="dais")
        Traceback (most recent call last):
        features.errors.ConfigurationError: training.models.rule.feature: no feature of the \
catalogue is named 'dais'. Expected one of 1 features. Hint: Did you mean 'days'?
    """

    kind = "rule"

    def __init__(self, names: Sequence[str], *, feature: str) -> None:
        self.names = tuple(names)
        self.feature = feature
        if feature not in self.names:
            close = difflib.get_close_matches(feature, self.names, n=1, cutoff=0.4)
            raise ConfigurationError(
                f"training.models.rule.feature: no feature of the catalogue is named '{feature}'",
                expected=f"one of {len(self.names)} features",
                hint=f"Did you mean '{close[0]}'?" if close else "Choose one of the catalogue's.",
            )
        self.column = self.names.index(feature)
        self.missing = 0.0
        self.scale = 1.0
        self.mean = 0.0

    def fit(self, X: Matrix | DiskRows, y: Floats) -> RuleModel:
        """Take the largest value, the mean and the spread of the feature; labels are not read."""
        if isinstance(X, DiskRows):
            values = X.column(self.column)
        else:
            values = X[:, self.column].astype(np.float64)
        if np.isnan(values).all():
            raise DataError(
                f"fitting the rule: feature '{self.feature}'",
                expected="a value in at least one row",
                got="none",
                hint="Choose another feature for training.models.rule.feature.",
            )
        self.missing = float(np.nanmax(values))
        filled = np.where(np.isnan(values), self.missing, values)
        self.scale = float(filled.std()) or 1.0
        self.mean = float(filled.mean())
        return self

    def raw(self, X: Matrix) -> Floats:
        """Scores [n]: the feature in standard deviations of the training rows."""
        values = X[:, self.column].astype(np.float64)
        return np.where(np.isnan(values), self.missing, values) / self.scale

    def contributions(self, X: Matrix) -> Floats:
        """Shares [n, k + 1]: all in one column, against the mean of the training rows."""
        shares = np.zeros((len(X), len(self.names) + 1))
        base = self.mean / self.scale
        shares[:, self.column] = self.raw(X) - base
        shares[:, -1] = base
        return shares

    def parameters(self) -> dict[str, float | int | str]:
        """The feature ranked by."""
        return {"feature": self.feature}

    def save(self, folder: Path) -> None:
        """Write ``model.json``."""
        fields = ("names", "feature", "missing", "scale", "mean")
        write_model_file(folder, self.kind, {f: getattr(self, f) for f in fields})

    @classmethod
    def load(cls, folder: Path) -> RuleModel:
        """Read what `save` wrote."""
        content = read_model_file(folder)
        model = cls(content["names"], feature=content["feature"])
        model.missing, model.scale = content["missing"], content["scale"]
        model.mean = content["mean"]
        return model
