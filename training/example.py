"""One invented person, for the runnable examples of this package."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from features.events import EVENTS
from features.settings import FeaturesSettings

__all__ = ["example_events", "example_features"]


def example_events() -> pa.Table:
    """Five events of one pathway: oriented, seen, two absences, then an exit.

    Example:
        >>> example_events().num_rows
        5
    """
    lines = [
        ("ORIENTATION//DECISION//SOCIAL", datetime(2023, 12, 10, 9)),
        ("CONTACT//APPOINTMENT//SEEN", datetime(2024, 1, 20, 10)),
        ("CONTACT//APPOINTMENT//NOSHOW", datetime(2024, 2, 15, 14)),
        ("CONTACT//APPOINTMENT//NOSHOW", datetime(2024, 4, 1, 8)),
        ("EXIT//PATHWAY//JOB", datetime(2024, 5, 1, 12)),
    ]
    rows = [
        {
            "subject_id": 1,
            "time": time,
            "code": code,
            "recorded_at": time,
            "source": "social",
            "event_id": f"e{number}",
        }
        for number, (code, time) in enumerate(lines)
    ]
    return pa.Table.from_pylist(rows, schema=EVENTS)


def example_features() -> FeaturesSettings:
    """The least `features:` section that those events need."""
    table = {
        "path": "*.csv",
        "row_key": "id",
        "events": [{"code": "CONTACT//APPOINTMENT//SEEN", "recorded_at": "entered"}],
    }
    source = {
        "service": "social",
        "reader": "csv",
        "person": {"system": "social", "columns": "id"},
        "tables": [table],
    }
    return FeaturesSettings.model_validate(
        {
            "observation": {"since": "2024-01-01", "until": "2025-01-01"},
            "sources": {"social": source},
        }
    )
