"""The row contract: its columns are MEDS's own, and tables that break it are refused."""

from __future__ import annotations

from datetime import datetime

import meds
import pyarrow as pa
import pytest

from features.errors import DataError
from features.events import COLUMNS, EVENTS, check_events


def one_event(**changes: object) -> pa.Table:
    row: dict[str, object] = {
        "subject_id": 7,
        "time": datetime(2025, 3, 12, 9, 30),
        "code": "CONTACT//APPOINTMENT//SEEN",
        "numeric_value": None,
        "text_value": None,
        "recorded_at": datetime(2025, 3, 13),
        "end_time": None,
        "source": "social",
        "source_code": "HON",
        "reference": "r1",
        "event_id": "ab",
    }
    return pa.Table.from_pylist([row | changes], schema=EVENTS)


def test_meds_reads_an_events_table_without_conversion() -> None:
    events = one_event()
    assert meds.DataSchema.validate(events) is None
    assert (
        meds.DataSchema.align(events)
        .select(["subject_id", "time", "code"])
        .equals(events.select(["subject_id", "time", "code"]))
    )
    for name in ("subject_id", "time", "code", "numeric_value", "text_value"):
        assert events.schema.field(name).type == getattr(meds.DataSchema, f"{name}_dtype")


def test_a_static_event_has_no_time() -> None:
    assert check_events(one_event(time=None)).num_rows == 1


def test_order_and_types_are_restored() -> None:
    shuffled = one_event().select(list(reversed(COLUMNS)))
    narrow = shuffled.set_column(
        COLUMNS[::-1].index("subject_id"), "subject_id", pa.array([7], pa.int32())
    )
    assert check_events(narrow).schema.equals(EVENTS)


def test_a_null_where_none_may_be_is_counted() -> None:
    events = one_event()
    broken = events.set_column(
        COLUMNS.index("code"), pa.field("code", pa.string()), pa.nulls(1, pa.string())
    )
    with pytest.raises(DataError, match=r"column 'code'. Expected no null; got 1 null"):
        check_events(broken)


def test_a_type_that_does_not_cast_is_named() -> None:
    wrong = one_event().set_column(1, "time", pa.array(["soon"]))
    with pytest.raises(DataError, match=r"column 'time'. Expected values of type timestamp"):
        check_events(wrong)
