"""Gradient-boosted trees by LightGBM, with exact contributions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.model_file import read_model_file, write_model_file
from training.rows import DiskRows
from training.settings import LightGBMSettings

__all__ = ["LightGBMModel"]

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]

# OpenMP threads that wait by spinning slow LightGBM down several times when other programs want the
# cores too; read when the library is loaded, so set before.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class LightGBMModel:
    """Boosted trees; contributions are exact TreeSHAP values in log-odds.

    Missing values take their own branch at every split. The number of trees is fixed, so no later
    data steer the fit. Same data, seed and threads give the same trees.

    Example:
        >>> X = np.arange(400, dtype=np.float32).reshape(200, 2) % 37
        >>> y = (X[:, 0] > 18).astype(float)
        >>> few = LightGBMSettings(trees=5, min_rows_in_leaf=5, feature_share=1.0)
        >>> model = LightGBMModel(("a", "b"), settings=few, seed=1, threads=1).fit(X, y)
        >>> shares = model.contributions(X)
        >>> shares.shape, bool(np.allclose(shares.sum(axis=1), model.raw(X)))
        ((200, 3), True)
    """

    kind = "lightgbm"

    def __init__(
        self, names: Sequence[str], *, settings: LightGBMSettings, seed: int, threads: int
    ) -> None:
        self.names = tuple(names)
        self.settings = settings
        self.seed = seed
        self.threads = threads
        self.booster: Any = None

    def _params(self) -> dict[str, Any]:
        chosen = self.settings
        return {
            "objective": "binary",
            "learning_rate": chosen.learning_rate,
            "num_leaves": chosen.leaves,
            "min_data_in_leaf": chosen.min_rows_in_leaf,
            "feature_fraction": chosen.feature_share,
            "bagging_fraction": chosen.row_share,
            "bagging_freq": 1 if chosen.row_share < 1 else 0,
            "lambda_l2": chosen.l2,
            "seed": self.seed,
            "num_threads": self.threads,
            "deterministic": True,
            "force_col_wise": True,
            "verbosity": -1,
        }

    def fit(self, X: Matrix | DiskRows, y: Floats) -> LightGBMModel:
        """Grow the trees.

        Of rows on disk LightGBM reads views, and keeps a byte or so for each value: the matrix
        itself is never in memory. Its `Sequence` would do the same, but forgets the seed and the
        rows in a leaf when it makes the bins, and so grows other trees.
        """
        import lightgbm

        params = self._params()
        rows = X.views() if isinstance(X, DiskRows) else X
        data = lightgbm.Dataset(rows, y, feature_name=list(self.names), params=params)
        # The views hold the file in memory as long as they are there.
        data.construct()
        del rows
        self.booster = lightgbm.train(params, data, num_boost_round=self.settings.trees)
        return self

    def raw(self, X: Matrix) -> Floats:
        """Scores [n] in log-odds."""
        found = self.booster.predict(X, raw_score=True, num_threads=self._threads_for(X))
        return np.asarray(found, np.float64)

    def contributions(self, X: Matrix) -> Floats:
        """Shares [n, k + 1] in log-odds; the base is the mean score of the training rows."""
        if len(X) == 0:
            return np.zeros((0, len(self.names) + 1))
        found = self.booster.predict(X, pred_contrib=True, num_threads=self._threads_for(X))
        return np.asarray(found, np.float64)

    def _threads_for(self, X: Matrix) -> int:
        """One thread for a few rows: waking the others costs more than they bring."""
        return 1 if len(X) < 64 else self.threads

    def parameters(self) -> dict[str, float | int | str]:
        """Size and pace of the trees, seed and threads."""
        return {**self.settings.model_dump(), "seed": self.seed, "threads": self.threads}

    def save(self, folder: Path) -> None:
        """Write ``model.json`` and LightGBM's own text, ``model.txt``."""
        content = {
            "names": self.names,
            "settings": self.settings.model_dump(),
            "seed": self.seed,
            "threads": self.threads,
        }
        write_model_file(folder, self.kind, content)
        self.booster.save_model(str(folder / "model.txt"))

    @classmethod
    def load(cls, folder: Path) -> LightGBMModel:
        """Read what `save` wrote."""
        import lightgbm

        content = read_model_file(folder)
        settings = LightGBMSettings.model_validate(content["settings"])
        model = cls(
            content["names"], settings=settings, seed=content["seed"], threads=content["threads"]
        )
        model.booster = lightgbm.Booster(model_file=str(folder / "model.txt"))
        return model
