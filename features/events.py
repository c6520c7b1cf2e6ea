"""THE row contract: one event, its columns, types and units."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from features.errors import DataError

__all__ = ["COLUMNS", "EVENTS", "WITHDRAWN", "check_events", "empty_events"]

WITHDRAWN = "RECORD//WITHDRAWN"
"""Code of a version that says: the source moved this row to another person, or took it back."""

_FIELDS: list[pa.Field[Any]] = [
    pa.field("subject_id", pa.int64(), nullable=False),
    pa.field("time", pa.timestamp("us")),
    pa.field("code", pa.string(), nullable=False),
    pa.field("numeric_value", pa.float32()),
    pa.field("text_value", pa.large_string()),
    pa.field("recorded_at", pa.timestamp("us"), nullable=False),
    pa.field("end_time", pa.timestamp("us")),
    pa.field("source", pa.string(), nullable=False),
    pa.field("source_code", pa.string()),
    pa.field("reference", pa.string()),
    pa.field("event_id", pa.string(), nullable=False),
]

EVENTS = pa.schema(_FIELDS)
"""Columns of an event, in order. The first five are those of MEDS.

========================  =====================================================================
``subject_id``            keyed pseudonym, positive
``time``                  when it happened or is due, UTC without zone; null = static
``code``                  ``DOMAIN//EVENT//STATUS`` of the vocabulary
``numeric_value``         in the unit the vocabulary gives for the code
``text_value``            a controlled value (a service, a motive code), never free text
``recorded_at``           when it was known, UTC without zone
``end_time``              of a spell: its planned end as known at ``recorded_at``
``source``                name of the source in the territory file
``source_code``           the source's own code, kept also when it is mapped
``reference``             what the event is about: an appointment, contract, referral, course
``event_id``              stable for one source row and rule; its versions share it, and no other
                          source has it
========================  =====================================================================
"""

COLUMNS = tuple(EVENTS.names)


def empty_events() -> pa.Table:
    """An events table without rows.

    Example:
        >>> empty_events().num_rows
        0
    """
    return EVENTS.empty_table()


def check_events(events: pa.Table) -> pa.Table:
    """The same events with exactly the contract's columns, order and types.

    Args:
        events: A table with at least the contract's columns; castable types.

    Returns:
        A table of schema :data:`EVENTS`.

    Raises:
        DataError: columns missing, types that do not cast, or nulls where none may be.

    Example:
        >>> check_events(empty_events()).schema.equals(EVENTS)
        True
        >>> check_events(empty_events().drop_columns(["code"]))
        Traceback (most recent call last):
        features.errors.DataError: checking events: 1 column(s) missing: code. Expected the \
columns of features.events.EVENTS; got 10 columns. Hint: Add the missing columns before appending.
    """
    missing = [name for name in COLUMNS if name not in events.column_names]
    if missing:
        raise DataError(
            f"checking events: {len(missing)} column(s) missing: {', '.join(missing)}",
            expected="the columns of features.events.EVENTS",
            got=f"{events.num_columns} columns",
            hint="Add the missing columns before appending.",
        )
    arrays = []
    for field in EVENTS:
        column = events.column(field.name)
        try:
            column = column.cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(
                f"checking events: column '{field.name}'",
                expected=f"values of type {field.type}",
                got=f"type {column.type}",
                hint="Convert the column in the mapping.",
            ) from error
        if not field.nullable and column.null_count:
            raise DataError(
                f"checking events: column '{field.name}'",
                expected="no null",
                got=f"{column.null_count} null(s)",
                hint="Set those rows aside before appending.",
            )
        arrays.append(column)
    return pa.Table.from_arrays(arrays, schema=EVENTS)
