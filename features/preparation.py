"""Events of a table as the flat, sorted arrays that the kernels read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.arrays import ALWAYS, Events, Floats, Int32s, Int64s
from features.buffers import numbers_of
from features.errors import DataError
from features.event_sets import Kinds
from features.events import EVENTS
from features.layout import Layout
from features.local_days import NEVER, Zone
from features.ordering import by_person_and_time, dense_references, in_order, local_days

__all__ = ["Prepared", "columns_for", "prepare"]

_FAR = 4_102_444_800_000_000
"""The year 2100: an end beyond it has no calendar day of its own."""
_ALWAYS_READ = ("subject_id", "time", "code", "recorded_at")
_READ_FOR = {
    "value": "numeric_value",
    "ends": "end_time",
    "reference": "reference",
    "service": "source",
    "receiver": "text_value",
    "text_value": "text_value",
}
_SUPERSEDED = "superseded_at"


@dataclass(frozen=True)
class Prepared:
    """Events of some people, ready for the kernels.

    Attributes:
        events: The arrays.
        people: int64 [people] whose they are, ascending.
        services: Service of each source, in the order of the sources' numbers.
        service_names: Every numbered service, in the order of the numbers.
        references: The most references that one person has.
        exact: Whether any sum of these values is exact in 64 bits, in whatever order.
        texts: For `reference` and `text_value`, where peers go by them: int32 [events] number of
            the text, -1 for none, and the texts.
    """

    events: Events
    people: Int64s
    services: tuple[str, ...]
    service_names: tuple[str, ...]
    references: int
    exact: bool
    texts: Mapping[str, tuple[Int32s, list[str]]]


def columns_for(layout: Layout) -> tuple[str, ...]:
    """Columns of events that a catalogue needs, without those that tell versions apart."""
    extra = [column for need, column in _READ_FOR.items() if need in layout.needs]
    return tuple(dict.fromkeys([*_ALWAYS_READ, *extra]))


def prepare(
    table: pa.Table,
    subjects: Int64s,
    layout: Layout,
    where: Zone,
    service_of: Mapping[str, str],
) -> Prepared:
    """The events of some people, all versions.

    Args:
        table: Events in any order, with the columns of `columns_for` and either `superseded_at`
            or `event_id`; those of other people are left out.
        subjects: int64 [people], ascending, each once.
        layout: The compiled catalogue.
        where: Time zone of the days.
        service_of: Service of a source; one not named is a service of its own.

    Raises:
        DataError: columns are missing or do not cast to the contract's types.
    """
    columns = _columns(table, columns_for(layout))
    needs = layout.needs
    time = _instants(columns["time"], NEVER)
    recorded = _instants(columns["recorded_at"], NEVER)
    value = _floats(columns["numeric_value"]) if "value" in needs else np.zeros(0, np.float32)
    order, begin, end = _order(_longs(columns["subject_id"]), subjects, time, recorded, value)

    def sorted_(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return array if order is None or not len(array) else array[order]

    time, value = sorted_(time), sorted_(value)
    sources: list[str] = []
    source = np.zeros(0, np.int32)
    if "service" in needs:
        found, number = _encoded(columns["source"])
        # Known sources keep their numbers from one table to the next, so that plans are kept.
        sources = [*service_of, *sorted(set(found) - set(service_of))]
        source = sorted_(_renumbered(number, [sources.index(name) for name in found]))
    services = tuple(service_of.get(name, name) for name in sources) or ("",)
    names = tuple(dict.fromkeys(services))
    kinds = layout.kinds(services)
    place = {code: at for at, code in enumerate(kinds.codes)}
    spelled, number = _encoded(columns["code"])
    code = sorted_(_renumbered(number, [place.get(one, len(place)) for one in spelled]))
    reference = np.zeros(0, np.int32)
    most, texts = 0, {}
    if "text_value" in needs:
        spelled, number = _encoded(columns["text_value"])
        texts["text_value"] = (sorted_(number), spelled)
    if "reference" in needs:
        spelled, number = _encoded(columns["reference"])
        reference = sorted_(number)
        if any(layout.catalogue.features[at].peers == "reference" for at in layout.peers):
            texts["reference"] = (reference.copy(), spelled)
        reference = np.ascontiguousarray(reference)
        if not reference.flags.writeable:
            reference = reference.copy()
        most = dense_references(begin, end, reference, max(len(spelled), 1))
    ends = np.zeros(0, np.int64)
    end_day = np.zeros(0, np.int32)
    if "ends" in needs:
        ends = sorted_(_instants(columns["end_time"], ALWAYS))
        end_day = local_days(np.minimum(ends, _FAR), where.transitions, where.offsets)
    events = Events(
        begin=begin,
        end=end,
        time=time,
        recorded=sorted_(recorded),
        superseded=sorted_(_superseded(table)),
        ends=ends,
        day=local_days(time, where.transitions, where.offsets),
        end_day=end_day,
        value=value,
        kind=_kinds(kinds, code, source, value),
        code=code if "code" in needs or layout.peers else code[:0],
        service=np.array([names.index(one) for one in services], np.int32)[source],
        receiver=sorted_(_receivers(columns, names)) if "receiver" in needs else source[:0],
        reference=reference,
    )
    exact = not layout.adds or _exact(value, begin, end)
    return Prepared(events, subjects, services, names, most, exact, texts)


def _columns(table: pa.Table, wanted: Sequence[str]) -> dict[str, pa.ChunkedArray]:
    missing = [name for name in wanted if name not in table.column_names]
    if _SUPERSEDED not in table.column_names and "event_id" not in table.column_names:
        missing.append("event_id")
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
        if pa.types.is_dictionary(column.type) and column.type.value_type == kind:
            columns[name] = column
            continue
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


def _longs(column: pa.ChunkedArray) -> Int64s:
    return numbers_of(column, np.int64)


def _floats(column: pa.ChunkedArray) -> Floats:
    return numbers_of(column, np.float32, np.nan)


def _instants(column: pa.ChunkedArray, missing: int) -> Int64s:
    return numbers_of(column.cast(pa.timestamp("us")), np.int64, missing)


def _encoded(column: pa.ChunkedArray) -> tuple[list[str], Int32s]:
    """Distinct texts and the number of each row's, -1 for null."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    chunks = column.unify_dictionaries().chunks
    if not chunks:
        return [], np.zeros(0, np.int32)
    indices = [cast(Any, chunk).indices.cast(pa.int32()) for chunk in chunks]
    numbers = [numbers_of(chunk, np.int32, -1) for chunk in indices]
    whole = numbers[0] if len(numbers) == 1 else np.concatenate(numbers)
    return cast(Any, chunks[0]).dictionary.to_pylist(), whole


def _renumbered(numbers: Int32s, places: Sequence[int]) -> Int32s:
    return np.array([*places, -1], np.int32)[numbers]


def _order(
    subject: Int64s, subjects: Int64s, time: Int64s, recorded: Int64s, value: Floats
) -> tuple[Int64s | None, Int64s, Int64s]:
    """Order by person, time, recorded_at, value (None: as it is), and each person's range.

    What comes first never depends on the order of the input.
    """
    if in_order(subject, time, recorded, value):
        return (
            None,
            np.searchsorted(subject, subjects, side="left"),
            np.searchsorted(subject, subjects, side="right"),
        )
    order, begin = by_person_and_time(
        _numbered(subject, subjects), len(subjects), time, recorded, value
    )
    return order, begin[:-1].copy(), begin[1:].copy()


def _numbered(subject: Int64s, subjects: Int64s) -> Int32s:
    """Number of each event's person; as many as there are people for one that is not wanted."""
    people = len(subjects)
    if not people:
        return np.zeros(len(subject), np.int32)
    low, wide = int(subjects[0]), int(subjects[-1]) - int(subjects[0]) + 1
    if wide <= 8 * len(subject) + 1024:
        table = np.full(wide + 1, people, np.int32)
        table[subjects - low] = np.arange(people, dtype=np.int32)
        inside = (subject >= low) & (subject < low + wide)
        return table[np.where(inside, subject - low, wide)]
    found = np.searchsorted(subjects, subject)
    found[subjects[np.minimum(found, people - 1)] != subject] = people
    return found.astype(np.int32)


def _kinds(kinds: Kinds, code: Int32s, source: Int32s, value: Floats) -> Int32s:
    kind = code if not len(source) else code * np.int32(len(kinds.services)) + source
    if kinds.bands == 1 or not len(code):
        return kind
    band = np.zeros(len(code), np.int32)
    by_code = np.argsort(code, kind="stable")
    place = {name: at for at, name in enumerate(kinds.codes)}
    ranged = {place[name]: cuts for name, cuts in kinds.bounds.items()}
    present, first = np.unique(code[by_code], return_index=True)
    last = np.append(first[1:], len(code))
    for one, low, high in zip(present.tolist(), first.tolist(), last.tolist(), strict=True):
        if one in ranged:
            own = by_code[low:high]
            own = own[~np.isnan(value[own])]
            band[own] = 1 + np.searchsorted(ranged[one], value[own], side="right")
    return kind * np.int32(kinds.bands) + band


def _receivers(columns: Mapping[str, pa.ChunkedArray], names: Sequence[str]) -> Int32s:
    """Number of the service that an event's text_value names, -1 for none or another text."""
    texts, number = _encoded(columns["text_value"])
    places = {name: place for place, name in enumerate(names)}
    return _renumbered(number, [places.get(text, -1) for text in texts])


def _superseded(table: pa.Table) -> Int64s:
    from features.superseded import NEVER as NEVER_REPLACED
    from features.superseded import superseded_at

    if _SUPERSEDED in table.column_names:
        found = _instants(table.column(_SUPERSEDED), ALWAYS)
    else:
        found = np.asarray(superseded_at(table), "datetime64[us]").view(np.int64)
    # What nothing replaced must be told apart at a glance: it never has to be looked at again.
    return np.where(found >= NEVER_REPLACED.view(np.int64), ALWAYS, found)


def _exact(value: Floats, begin: Int64s, end: Int64s) -> bool:
    """Whether each person's sums in 64 bits are exact, so that their order cannot matter.

    Each value is a whole multiple of some power of two, and no sum of a person's values reaches
    2**53 of the person's smallest such power.
    """
    held = end > begin
    if not held.any():
        return True
    known = np.where(np.isnan(value), np.float32(0), value)
    if not np.isfinite(known).all():
        return False
    bits = known.view(np.int32)
    exponent = np.maximum((bits >> 23) & 0xFF, 1)
    mantissa = (bits & 0x7FFFFF) | np.where((bits >> 23) & 0xFF, 0x800000, 0)
    trailing = np.log2(np.maximum(mantissa & -mantissa, 1).astype(np.float64)).astype(np.int32)
    unit = np.where(known == 0, 1_000, exponent + trailing)
    # People's events follow one another; of each two borders the stretch between is skipped.
    borders = np.stack([begin[held], end[held]], axis=1).reshape(-1)
    inner = borders[:-1] if borders[-1] == len(value) else borders
    least = np.minimum.reduceat(unit, inner)[::2]
    total = np.add.reduceat(np.abs(known.astype(np.float64)), inner)[::2]
    # A value is mantissa * 2 ** (exponent - 150).
    return bool((total < 2.0 ** (53 + np.minimum(least, 400) - 150.0)).all())
