"""Events of a table as the flat, sorted arrays that the kernels read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.arrays import ALWAYS, Events, Plan
from features.errors import DataError
from features.events import EVENTS
from features.layout import Layout, plan_for
from features.local_days import NEVER, Zone
from features.ordering import dense_references, sort_ties

__all__ = ["NEEDED", "Prepared", "prepare"]

NEEDED = (
    "subject_id",
    "time",
    "code",
    "numeric_value",
    "text_value",
    "recorded_at",
    "end_time",
    "source",
    "reference",
    "event_id",
)
"""Columns of events that features are computed from."""

_FAR = 4_102_444_800_000_000
"""The year 2100: an end beyond it has no calendar day of its own."""


@dataclass(frozen=True)
class Prepared:
    """Arrays for the kernels, the plan for these events' kinds, and room for references."""

    events: Events
    plan: Plan
    references: int


def prepare(
    table: pa.Table,
    subjects: npt.NDArray[np.int64],
    layout: Layout,
    where: Zone,
    service_of: Callable[[str], str],
    services: tuple[str, ...],
) -> Prepared:
    """The events of some people, all versions, ready for :func:`features.kernels.fill`.

    Args:
        table: Events in any order, with at least the columns of `NEEDED`.
        subjects: The people, ascending, each once.
        layout: The compiled catalogue.
        where: Time zone of the days.
        service_of: Service of a source.
        services: The known services, in order; a source of another gets the next number.

    Raises:
        DataError: columns are missing or do not cast to the contract's types.
    """
    columns = _columns(table, layout.receiving)
    subject = _numbers(columns["subject_id"], np.int64)
    time = _instants(columns["time"], NEVER)
    recorded = _instants(columns["recorded_at"], NEVER)
    value = _numbers(columns["numeric_value"], np.float32)
    order = _order(subject, time, recorded, value)
    codes, code = _encoded(columns["code"])
    sources, source = _encoded(columns["source"])
    references, reference = _encoded(columns["reference"])
    reference, subject = reference[order], subject[order]
    most = dense_references(subject, reference, max(len(references), 1))
    source_services = [service_of(name) for name in sources]
    numbers = {name: i for i, name in enumerate(dict.fromkeys((*services, *source_services)))}
    service = np.array([numbers[name] for name in source_services], np.int32)
    ends = _instants(columns["end_time"], ALWAYS)[order]
    events = Events(
        begin=np.searchsorted(subject, subjects, side="left"),
        end=np.searchsorted(subject, subjects, side="right"),
        time=time[order],
        recorded=recorded[order],
        superseded=_superseded(table)[order],
        ends=ends,
        day=where.days(time[order]),
        end_day=where.days(np.minimum(ends, _FAR)),
        value=value[order],
        kind=(code * np.int32(max(len(sources), 1)) + source)[order],
        service=service[source[order]] if len(service) else np.zeros(0, np.int32),
        receiver=_receivers(columns, numbers, layout)[order],
        reference=reference,
    )
    return Prepared(events, plan_for(layout, codes, source_services, len(numbers)), most)


def _columns(table: pa.Table, receiving: bool) -> dict[str, pa.ChunkedArray]:
    wanted = [name for name in NEEDED if receiving or name != "text_value"]
    missing = [name for name in wanted if name not in table.column_names]
    if missing:
        raise DataError(
            f"reading events: {len(missing)} column(s) missing: {', '.join(missing)}",
            expected="the columns of features.events.EVENTS",
            got=f"{table.num_columns} columns",
            hint="Give events as Timelines.read returns them.",
        )
    columns: dict[str, pa.ChunkedArray] = {}
    wrong = []
    for name in wanted:
        column, kind = table.column(name), EVENTS.field(name).type
        try:
            columns[name] = column if column.type == kind else column.cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            wrong.append(f"{name} ({column.type}, not {kind})")
    if wrong:
        raise DataError(
            f"reading events: {len(wrong)} column(s) of another type: {', '.join(wrong)}",
            expected="the types of features.events.EVENTS",
            hint="Pass the table through features.events.check_events.",
        )
    nulls = [n for n in wanted if not EVENTS.field(n).nullable and columns[n].null_count]
    if nulls:
        raise DataError(
            f"reading events: null in {', '.join(nulls)}",
            expected="no null in those columns",
            got=f"{sum(columns[n].null_count for n in nulls)} null(s)",
            hint="Set those rows aside.",
        )
    return columns


def _numbers(column: pa.ChunkedArray | pa.Array, kind: Any) -> npt.NDArray[Any]:
    return np.asarray(column.to_numpy(zero_copy_only=False), kind)


def _instants(column: pa.ChunkedArray, missing: int) -> npt.NDArray[np.int64]:
    return _numbers(cast(Any, pc.fill_null(column.cast(pa.int64()), pa.scalar(missing))), np.int64)


def _encoded(column: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.int32]]:
    """Distinct texts and the number of each row's, -1 for null."""
    chunks = column.dictionary_encode().unify_dictionaries().chunks
    if not chunks:
        return [], np.zeros(0, np.int32)
    numbers = [_numbers(pc.fill_null(cast(Any, chunk).indices, -1), np.int32) for chunk in chunks]
    return cast(Any, chunks[0]).dictionary.to_pylist(), np.concatenate(numbers)


def _order(
    subject: npt.NDArray[np.int64],
    time: npt.NDArray[np.int64],
    recorded: npt.NDArray[np.int64],
    value: npt.NDArray[np.float32],
) -> npt.NDArray[np.int64]:
    """Positions by person, time, recorded_at, value: what comes next never depends on the input."""
    order = np.arange(len(subject), dtype=np.int64)
    if sort_ties(order, np.array(subject), np.array(time), np.array(recorded), np.array(value)):
        return order
    low = np.where(np.isnan(value), np.float32(-np.inf), value)
    return np.lexsort((low, recorded, time, subject)).astype(np.int64)


def _receivers(
    columns: dict[str, pa.ChunkedArray], numbers: dict[str, int], layout: Layout
) -> npt.NDArray[np.int32]:
    """Number of the service that an event's text_value names, -1 for none or another text."""
    if not layout.receiving:
        return np.full(len(columns["code"]), -1, np.int32)
    names = pa.array(list(numbers), columns["text_value"].type)
    found = pc.index_in(columns["text_value"], value_set=names)
    return _numbers(found.fill_null(-1), np.int32)


def _superseded(table: pa.Table) -> npt.NDArray[np.int64]:
    from features.timelines import superseded_at

    return np.asarray(superseded_at(table), "datetime64[us]").view(np.int64)
