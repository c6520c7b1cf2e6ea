"""Raw rows to events, by the territory's mapping; a row that does not fit keeps its reason."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.cells import Cells
from features.errors import ConfigurationError
from features.events import EVENTS
from features.identity import ERASED, SEPARATOR, Met, Vault
from features.instants import midnight_utc, read_instants
from features.settings import EventRule, FeaturesSettings, Instant, PersonsTable, Source, Table
from features.sources import Batch, reader_names
from features.vocabulary import Vocabulary

__all__ = ["Mapped", "TableMapping", "check_mapping", "table_name"]

AHEAD = np.timedelta64(2 * 366, "D")
"""How long after the end of observation something may be due."""

SPELL = np.timedelta64(60 * 366, "D")
"""How long after the end of observation a spell may end."""

SEEN = 1_000_000
"""Persons of one file whose pseudonyms are held in memory, some 200 bytes each."""

Instants = npt.NDArray[np.datetime64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Mapped:
    """What one batch gave.

    Attributes:
        events: Rows of the events contract.
        issued: int64 per event, the pseudonym of the very identifier that its row came with.
        places: Of each event, the place of its row in the batch.
        aside: Place of a row set aside to its reason and column.
        without_event: Rows of which no rule made an event.
        created: Persons met for the first time.
        unknown: Codes that no rule lists: (column, value) to count.
        personal: Those that are a key of their row's person.
    """

    events: pa.Table
    issued: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    aside: dict[int, tuple[str, str | None]]
    without_event: int
    created: int
    unknown: Counter[tuple[str, str]]
    personal: set[str]


def table_name(table: Table) -> str:
    """What a table is called in reports: its name, or its file and its part of it."""
    part = table.table or table.sheet
    return table.name or (f"{table.path}/{part}" if part else table.path)


def check_mapping(settings: FeaturesSettings, vocabulary: Vocabulary) -> None:
    """Refuse mappings without a reader, with unknown codes, or that would publish identifiers.

    All faults are said at once.

    Raises:
        ConfigurationError: naming source, table, what is wrong, and the nearest known code.
    """
    faults = []
    known = reader_names()
    for name, source in settings.sources.items():
        everything: list[Table | PersonsTable] = [*source.persons, *source.tables]
        for each in everything:
            kind = source.reader_for(each)
            if kind not in known:
                said = ", ".join(known)
                faults.append(f"{name}, {each.path}: no reader is called '{kind}' (known: {said})")
        for table in source.tables:
            where = f"{name}, {table_name(table)}"
            persons = _identifying(source, table)
            for rule in table.events:
                for code in sorted(_codes_of(rule)):
                    if code not in vocabulary:
                        near = vocabulary.nearest(code)
                        said = f"did you mean '{near}'?" if near else "add it to the vocabulary"
                        faults.append(f"{where}: code '{code}' is not in the vocabulary ({said})")
                kept = [*(rule.reference or []), *rule.code_columns]
                kept += [rule.text_value.column] if rule.text_value else []
                kept += [rule.numeric_value] if rule.numeric_value else []
                faults += [
                    f"{where}: column '{column}' identifies persons and must not be kept"
                    for column in kept
                    if column in persons
                ]
    if faults:
        faults = list(dict.fromkeys(faults))
        lines = "\n  ".join(faults)
        raise ConfigurationError(f"features.sources: {len(faults)} fault(s)\n  {lines}")


def _identifying(source: Source, table: Table) -> set[str]:
    """Columns known to hold identifiers of persons."""
    columns = {c for persons in source.persons for keys in persons.keys.values() for c in keys}
    return columns | {*(table.person or source.person).columns, *table.identifying}


def _codes_of(rule: EventRule) -> set[str]:
    choices = []
    for column in rule.code_columns:
        allowed = rule.where.get(column)
        values = rule.values[column]
        choices.append(
            [v for k, v in values.items() if not isinstance(allowed, list) or k in allowed]
        )
    codes = set()
    for parts in product(*choices):
        code = rule.code
        for column, part in zip(rule.code_columns, parts, strict=True):
            code = code.replace("{" + column + "}", part)
        codes.add(code)
    return codes


class TableMapping:
    """One table's rules, ready to apply to batch after batch.

    A row of which any event breaks a rule of the mapping is set aside whole. Contradictions are
    found later, event by event, by the timelines: when one event of a row contradicts a version
    that is known, the row is reported as set aside, and its other events stay. Reasons are listed
    in :data:`features.quality.REASONS`. `time`, `recorded_at` and `end_time` are believed from the
    start of observation on; `recorded_at` up to its end, `time` up to two years after it,
    `end_time` up to sixty.

    An event's id is a hash of source, table, row key and rule, so that it stays the same however
    often the row is exported. The hash is keyed with the vault's secret when the row key holds an
    identifier of persons.
    """

    def __init__(
        self, name: str, source: Source, table: Table, settings: FeaturesSettings, vault: Vault
    ) -> None:
        self._name = name
        self._source = source
        self._table = table
        self._vault = vault
        self._person = table.person or source.person
        self._zone = source.timezone or settings.timezone
        self._since = midnight_utc(settings.observation.since, settings.timezone)
        self._until = midnight_utc(settings.observation.until, settings.timezone)
        identifying = _identifying(source, table)
        keyed = bool(set(table.row_key) & identifying)
        # A hash without a secret is undone by trying out all numbers.
        self._plain_keys = [one for one in table.row_key if one not in identifying]
        self._hash_key = vault.secret_for("event") if keyed else b""
        self._tags = _tags(table.events)
        self._seen: dict[str, tuple[int, int]] = {}

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column the rules read."""
        wanted = [*self._table.row_key, *self._person.columns, *self._table.identifying]
        for rule in self._table.events:
            wanted += [*rule.code_columns, *rule.where, *(rule.reference or [])]
            instants = (rule.time, rule.recorded_at, rule.end_time)
            wanted += [i.column for i in instants if i is not None and i.column is not None]
            wanted += [rule.numeric_value] if rule.numeric_value else []
            wanted += [rule.text_value.column] if rule.text_value else []
        return tuple(dict.fromkeys(wanted))

    def apply(self, batch: Batch) -> Mapped:
        """The events of a batch.

        Args:
            batch: Raw rows with at least :attr:`columns`.

        Raises:
            DataError: a column whose type cannot be read.
        """
        identifying = [*self._person.columns, *self._table.identifying]
        cells = Cells(batch.table, self._source.options.nulls, identifying)
        for columns, reason in (
            (self._person.columns, "missing_person"),
            (self._table.row_key, "missing_row_key"),
        ):
            for column in columns:
                cells.refuse(cells.null(column), reason, column)
        for column in self._plain_keys:
            cells.no_identity(column, np.ones(batch.table.num_rows, bool))
        rules = [(rule, cells.where(rule)) for rule in self._table.events]
        parts = [(self._fields(cells, rule, present), present) for rule, present in rules]
        good = ~cells.refused
        holds = np.logical_or.reduce([present for _, present in rules])
        persons = pc.if_else(pa.array(good & holds), cells.joined(self._person.columns), None)
        met = self._met(persons)
        cells.refuse(good & holds & (met.subjects == ERASED), "erased", None)
        cells.refuse(good & holds & (met.subjects == 0), "missing_person", self._person.columns[0])
        good = ~cells.refused
        keys = cells.joined(self._table.row_key).cast(pa.binary())
        tables = [
            self._assembled(fields, present & good, met.subjects, keys, tag)
            for (fields, present), tag in zip(parts, self._tags, strict=True)
        ]
        places = np.concatenate([np.flatnonzero(present & good) for _, present in parts])
        return Mapped(
            pa.concat_tables(tables),
            met.issued[places],
            places,
            cells.aside,
            int((good & ~holds).sum()),
            met.created,
            cells.unknown,
            cells.personal,
        )

    def _met(self, persons: pa.Array) -> Met:
        """The persons of some rows; those met before are not asked of the vault again."""
        encoded: Any = persons.dictionary_encode()
        values: list[str] = encoded.dictionary.to_pylist()
        if len(self._seen) > SEEN:
            self._seen = {}
        seen = self._seen
        missing = [value for value in values if value not in seen]
        created = 0
        if missing:
            met = self._vault.meet(self._person.system, missing)
            pairs = zip(met.subjects.tolist(), met.issued.tolist(), strict=True)
            seen.update(zip(missing, pairs, strict=True))
            created = met.created
        known = np.array([*(seen[value] for value in values), (0, 0)], np.int64)
        places = encoded.indices.cast(pa.int64()).fill_null(len(values))
        found = known[places.to_numpy(zero_copy_only=False)]
        return Met(found[:, 0].copy(), found[:, 1].copy(), created)

    def _fields(self, cells: Cells, rule: EventRule, present: Mask) -> dict[str, pa.Array]:
        code, source_code = cells.code(rule, present)
        since, until = self._since, self._until
        time = self._instant(cells, rule.time, present, "missing_time", until + AHEAD)
        recorded = self._instant(cells, rule.recorded_at, present, "missing_recorded_at", None)
        late = present & (recorded >= until)
        cells.refuse(late, "recorded_after_observation", rule.recorded_at.column)
        end = self._instant(cells, rule.end_time, present, None, until + SPELL)
        cells.refuse(present & (recorded < since), "date_out_of_range", rule.recorded_at.column)
        return {
            "code": code,
            "source_code": source_code,
            "time": pa.array(time),
            "recorded_at": pa.array(recorded),
            "end_time": pa.array(end),
            "numeric_value": cells.number(
                rule.numeric_value, present, self._source.options.decimal
            ),
            "text_value": cells.controlled(rule.text_value, present),
            "reference": cells.reference(rule.reference, present),
        }

    def _instant(
        self,
        cells: Cells,
        instant: Instant | None,
        present: Mask,
        missing: str | None,
        until: np.datetime64 | None,
    ) -> Instants:
        if instant is None:
            return np.full(len(present), np.datetime64("NaT", "us"))
        column = None if instant.column is None else cells.table[instant.column]
        nulls = self._source.options.nulls
        read = read_instants(
            column, instant, self._source.formats, self._zone, len(present), nulls=nulls
        )
        if instant.column is not None:
            absent = cells.null(instant.column)
            if missing is not None:
                cells.refuse(present & absent, missing, instant.column)
            cells.refuse(present & ~absent & np.isnat(read), "bad_date", instant.column)
        if until is not None:
            outside = (read < self._since) | (read >= until)
            cells.refuse(present & outside, "date_out_of_range", instant.column)
        return read

    def _assembled(
        self,
        fields: dict[str, pa.Array],
        keep: Mask,
        subjects: npt.NDArray[np.int64],
        keys: pa.Array,
        tag: str,
    ) -> pa.Table:
        mask = pa.array(keep)
        arrays = {name: column.filter(mask) for name, column in fields.items()}
        arrays["subject_id"] = pa.array(subjects[keep])
        arrays["source"] = pa.repeat(pa.scalar(self._name, pa.string()), int(keep.sum()))
        arrays["event_id"] = self._ids(keys.filter(mask), tag)
        return pa.Table.from_arrays([arrays[f.name].cast(f.type) for f in EVENTS], schema=EVENTS)

    def _ids(self, keys: pa.Array, tag: str) -> pa.Array:
        scope = SEPARATOR.join((self._name, table_name(self._table), tag, ""))
        start = hashlib.blake2b(scope.encode(), digest_size=16, key=self._hash_key)
        again = start.copy
        digests = []
        values: list[Any] = keys.to_pylist()
        for key in values:
            one = again()
            one.update(key)
            digests.append(one.digest())
        # All at once is three times as fast as a text for each.
        text = b"".join(digests).hex().encode()
        offsets = np.arange(0, len(text) + 1, 32, dtype=np.int32)
        told = pa.py_buffer(offsets.tobytes())
        return pa.StringArray.from_buffers(len(values), told, pa.py_buffer(text))


def _tags(rules: Sequence[EventRule]) -> list[str]:
    """What tells the events of one row apart, the same when rules are added or moved.

    Example:
        >>> from features.settings import EventRule
        >>> rule = EventRule(code="EXIT//PATHWAY//JOB", recorded_at={"column": "day"})
        >>> _tags([rule, rule])
        ['EXIT//PATHWAY//JOB', 'EXIT//PATHWAY//JOB#1']
    """
    met: Counter[str] = Counter()
    tags = []
    for rule in rules:
        tags.append(f"{rule.code}#{met[rule.code]}" if met[rule.code] else rule.code)
        met[rule.code] += 1
    return tags
