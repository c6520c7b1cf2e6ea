"""The feature engine as a step of a scikit-learn pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from features.catalogue import Catalogue
from features.matrix import compute_matrix

if TYPE_CHECKING:
    import pandas as pd

    from features.timelines import Timelines

__all__ = ["TimelineFeatures"]


class TimelineFeatures(TransformerMixin, BaseEstimator):
    """Cohort rows in, their features out; what peers were like is learned from the fitted cohort.

    A row is compared with its peers at the latest prediction time at or before its own that was
    fitted, so that a pipeline scores a row of tomorrow as it would have been trained on.

    Args:
        timelines: The territory's timelines, or a table of events with all their versions.
        catalogue: The features wanted.

    Attributes:
        peers_: The groups of the fitted cohort; None without columns that compare people.

    Example:
        >>> import pandas as pd
        >>> from datetime import datetime as at
        >>> from features.catalogue import Feature
        >>> from features.events import EVENTS
        >>> missed = {"code": "CONTACT//APPOINTMENT//NOSHOW", "subject_id": 7, "source": "social",
        ...           "event_id": "a", "time": at(2025, 3, 3), "recorded_at": at(2025, 3, 4)}
        >>> absences = Feature("noshow.count.90d", "noshow", "count", 90, "contact",
        ...                    {"fr": "Absences", "en": "Absences"}, "count", (missed["code"],))
        >>> cohort = pd.DataFrame({"subject_id": [7, 8], "prediction_time": [at(2025, 4, 1)] * 2})
        >>> events = pa.Table.from_pylist([missed], schema=EVENTS)
        >>> step = TimelineFeatures(events, Catalogue((absences,)))
        >>> step.fit_transform(cohort)["noshow.count.90d"].tolist()
        [1.0, 0.0]
    """

    def __init__(self, timelines: Timelines | pa.Table, catalogue: Catalogue) -> None:
        self.timelines = timelines
        self.catalogue = catalogue

    def fit(self, X: pa.Table | pd.DataFrame, y: Any = None) -> TimelineFeatures:
        """Learn what the peers of these rows are like.

        Args:
            X: Columns `subject_id` and `prediction_time`.
            y: Not looked at.
        """
        self.peers_ = None
        if any(feature.among_peers for feature in self.catalogue.features):
            from features.peers import narrow

            self.peers_ = compute_matrix(self.timelines, X, narrow(self.catalogue)).peers
        self.is_fitted_ = True
        return self

    def transform(self, X: pa.Table | pd.DataFrame) -> pd.DataFrame:
        """float32 features of each row, in the same order, indexed by person and time.

        Raises:
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        check_is_fitted(self, "is_fitted_")
        return compute_matrix(self.timelines, X, self.catalogue, peers=self.peers_).frame()

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Names of the columns, as an array of texts."""
        return np.array(self.catalogue.names, object)
