"""The champion as MLflow sees it: matrix columns in, calibrated risk out (models from code).

MLflow copies this file beside the model's text files and runs it when it loads the model; nothing
is pickled. Jalon itself loads a champion through `training.registry.load_champion`.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

with warnings.catch_warnings():
    # MLflow warns of its own type hints and tables when it is imported: nothing to act on.
    warnings.simplefilter("ignore")
    from mlflow.models import set_model
    from mlflow.pyfunc import PythonModel

from training.champion import Champion, load_folder


class RiskOfRupture(PythonModel):
    """Calibrated probability of a rupture within the horizon, for each row of a feature matrix."""

    champion: Champion

    def load_context(self, context: Any) -> None:
        """Read the model's files."""
        self.champion = load_folder(Path(context.artifacts["champion"]))

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """A frame with one column, `risk` (float64), from a frame of float32 features."""
        names = list(self.champion.catalogue.names)
        values = model_input[names].to_numpy(np.float32)
        risk = self.champion.calibrator.risk(self.champion.model.raw(values))
        return pd.DataFrame({"risk": risk}, index=model_input.index)


set_model(RiskOfRupture())
