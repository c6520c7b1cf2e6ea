"""The matrix as a pandas frame, for whoever works in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pyarrow as pa

from features.catalogue import Catalogue

if TYPE_CHECKING:
    import pandas as pd

    from features.peers import PeerGroups
    from features.timelines import Timelines

__all__ = ["build_matrix"]


def build_matrix(
    timelines: Timelines | pa.Table | pd.DataFrame,
    cohort: pa.Table | pd.DataFrame,
    catalogue: Catalogue,
    *,
    peers: PeerGroups | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> pd.DataFrame:
    """The features of each cohort row, as known strictly before its prediction time.

    The values are those of :func:`features.matrix.compute_matrix`, which also says when the latest
    event of each group was, and which groups people were compared in.

    Args:
        timelines: The territory's timelines, or a table of events with all their versions.
        cohort: Columns `subject_id` and `prediction_time` (UTC), any order, repeats allowed.
        catalogue: The features wanted, with the time zone and the services of the sources.
        peers: Groups to compare people with; by default those of this cohort.
        progress: Told the step and the share done.

    Returns:
        float32, one row for each cohort row in the same order, one column for each feature; the
        index is subject_id and prediction_time. NaN = missing.

    Raises:
        DataError: columns missing, of the wrong type, or null.

    Example:
        >>> import pandas as pd
        >>> from features.catalogue import Feature
        >>> events = pd.DataFrame({
        ...     "subject_id": [7, 7], "time": pd.to_datetime(["2025-03-03", "2025-03-12"]),
        ...     "code": "CONTACT//APPOINTMENT//NOSHOW", "source": "social",
        ...     "recorded_at": pd.to_datetime(["2025-03-04", "2025-04-02"]),
        ...     "event_id": ["a", "b"]})
        >>> absences = Feature("noshow.count.90d", "noshow", "count", 90, "contact",
        ...                    {"fr": "Absences", "en": "Absences"}, "count",
        ...                    ("CONTACT//APPOINTMENT//NOSHOW",))
        >>> cohort = pd.DataFrame({"subject_id": [7, 8],
        ...                        "prediction_time": pd.to_datetime(["2025-04-01", "2025-04-01"])})
        >>> build_matrix(events, cohort, Catalogue((absences,)))["noshow.count.90d"].tolist()
        [1.0, 0.0]
        >>> build_matrix(events.drop(columns="time"), cohort, Catalogue((absences,)))
        Traceback (most recent call last):
        features.errors.DataError: reading events: 1 column(s) missing: time. Expected the columns \
of features.events.EVENTS; got 5 columns. Hint: Give events as Timelines.read returns them.
    """
    import pandas as pd

    from features.matrix import compute_matrix

    events: Timelines | pa.Table
    if isinstance(timelines, pd.DataFrame):
        events = pa.Table.from_pandas(timelines, preserve_index=False)
    else:
        events = timelines
    return compute_matrix(events, cohort, catalogue, peers=peers, progress=progress).frame()
