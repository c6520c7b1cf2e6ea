"""Rows that were set aside, mapped again: what the mended mapping now takes becomes events."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from features.aside_files import AsideFile, aside_files
from features.contracts import RULES
from features.errors import DataError, JalonError
from features.identity import Vault
from features.ingest import alone
from features.mapping import check_mapping, table_name
from features.quality import REASONS
from features.report import renew_reports
from features.sealed_rows import Seal, table_of
from features.set_aside import PURPOSE, Refusal, SetAside
from features.settings import FeaturesSettings, Source, Table
from features.sources import Batch, SourceFile, open_reader
from features.taking import Taken, Taking, contradicted
from features.territory import Territory
from features.timelines import Timelines
from features.vocabulary import Vocabulary

__all__ = ["Replayed", "retry"]

COMMIT_ROWS = 500_000
LINES = ("csv", "jsonl")
"""Readers whose lines that could not be read are kept, and can be read again."""

Progress = Callable[[str, float], None]


@dataclass
class Replayed:
    """What mapping the rows set aside again gave.

    Attributes:
        rows: Rows that were set aside before.
        mapped: Of them, those that are now events.
        without_event: Of them, those of which no rule makes an event any more.
        events: Events new to the timelines.
        versions: Further versions of known events.
        duplicates: Events that were in the timelines already.
        aside: Rows that stay set aside, by reason.
        not_kept: Of these, rows that can only be read from the export itself again: of a persons
            table, of a table that is no longer mapped, or without a column that is now needed.
        failures: Files of rows that could not be replayed, with the error.
        seconds: Duration.
    """

    rows: int = 0
    mapped: int = 0
    without_event: int = 0
    events: int = 0
    versions: int = 0
    duplicates: int = 0
    aside: Counter[str] = field(default_factory=Counter)
    not_kept: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**self.__dict__, "aside": dict(self.aside), "seconds": round(self.seconds, 2)}

    def text(self) -> str:
        """What was done, for a terminal."""
        lines = [
            f"{self.rows} row(s) set aside, mapped again in {self.seconds:.1f} s: "
            f"{self.mapped} became events ({self.events} new, {self.versions} corrections, "
            f"{self.duplicates} known), {self.without_event} hold no event, "
            f"{self.aside.total()} stay set aside",
        ]
        if self.not_kept:
            lines.append(
                f"Of those that stay, {self.not_kept} can only be read from the export again."
            )
        stay = [f"  {count:>7}  {REASONS[reason]}" for reason, count in self.aside.most_common()]
        lines += ["", "Rows set aside, by reason:", *stay] if stay else []
        lines += ["", "Not replayed:", *(f"  {one}" for one in self.failures)] * bool(self.failures)
        return "\n".join(lines)

    def add(self, counts: Mapping[str, int]) -> None:
        """Take counts of one file into account."""
        for name, count in counts.items():
            setattr(self, name, getattr(self, name) + count)


def retry(territory: Territory, *, progress: Progress | None = None) -> Replayed:
    """Map the rows set aside again, by the present mapping, contract and vocabulary.

    The exports are not needed. What fits is appended to the timelines first; then the file of rows
    set aside is replaced by the rest, each with its present reason, or with its former one where
    the row itself was not kept. Doing it twice, or being killed in between, changes nothing more:
    events that are there already are passed over. The reports are written again.

    Args:
        territory: The opened territory.
        progress: Called with the step under way and the share done, 0 to 1.

    Raises:
        ConfigurationError: a territory file or mapping that cannot be used.
        DataError: nothing was ingested yet, or an ingest is running.
    """
    started = time.perf_counter()
    settings = territory.section("features", FeaturesSettings)
    check_mapping(settings, Vocabulary.load(settings.vocabulary))
    with alone(territory.home):
        timelines = Timelines.open(territory.home / "timelines")
        vault = Vault.open(territory.home / "identity")
        try:
            found = _all(territory, settings, timelines, vault, progress)
        finally:
            vault.close()
        timelines.compact()
        found.seconds = time.perf_counter() - started
        renew_reports(territory, settings, timelines, found.as_dict())
    return found


def _all(
    territory: Territory,
    settings: FeaturesSettings,
    timelines: Timelines,
    vault: Vault,
    progress: Progress | None,
) -> Replayed:
    found = Replayed()
    files = aside_files(territory.home / "set-aside")
    for number, file in enumerate(files):
        if progress is not None:
            progress("rows set aside", number / len(files))
        found.rows += file.rows
        place = file.place
        mapped = None if place is None else _mapping_of(settings, place[0], place[1])
        try:
            if place is None or mapped is None:
                _untouched(file, found)
            else:
                source, table = mapped
                taking = Taking(place[0], source, table, settings, vault)
                secret = vault.secret_for(PURPOSE)
                _Replay(file, place, source, table, taking, timelines, secret).run(found)
        except JalonError as error:
            found.failures.append(f"{file.path.name}: {error}")
            _untouched(file, found)
    return found


def _mapping_of(settings: FeaturesSettings, source: str, table: str) -> tuple[Source, Table] | None:
    own = settings.sources.get(source)
    for one in own.tables if own is not None else []:
        if own is not None and table_name(one) == table:
            return own, one
    return None


def _untouched(file: AsideFile, found: Replayed) -> None:
    for (reason, _, _), count in file.reasons().items():
        found.aside[reason] += count
    found.not_kept += file.rows


class _Replay:
    """One file of rows set aside, being mapped again."""

    def __init__(
        self,
        file: AsideFile,
        place: tuple[str, str, str],
        source: Source,
        table: Table,
        taking: Taking,
        timelines: Timelines,
        secret: bytes,
    ) -> None:
        self._file = file
        self._place = place
        self._source = source
        self._table = table
        self._taking = taking
        self._timelines = timelines
        self._seal = Seal(secret, *place)
        folder: Path = file.path.parent
        self._aside = SetAside(folder, *place, secret)
        self._pending: list[Taken] = []
        self._counts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._not_kept = 0

    def run(self, found: Replayed) -> None:
        """Map, append, and replace the file by what stays.

        Raises:
            DataError: rows sealed with another key, or columns whose type cannot be read.
        """
        if self._file.mark not in (None, self._seal.mark):
            raise DataError(
                "opening rows that were set aside",
                expected="the key they were sealed with",
                got="another one",
                hint="Restore the vault's key, or read the exports again.",
            )
        try:
            for rows in self._file.tables():
                self._some(rows)
            self._commit()
        except BaseException:
            self._aside.discard()
            raise
        before = Counter(self._file.replayed)
        self._aside.finish(dict(before + self._counts), self._taking.unknown())
        found.add(self._counts)
        found.aside.update(self._reasons)
        found.not_kept += self._not_kept

    def _some(self, rows: pa.Table) -> None:
        sealed: list[Any] = rows["raw"].to_pylist()
        numbers: list[int] = rows["row"].to_pylist()  # type: ignore[assignment]
        raws = [None if one is None else json.loads(self._seal.open(one)) for one in sealed]
        stays = self._once(rows)
        kept: list[tuple[int, dict[str, Any]]] = []
        lines: list[tuple[int, dict[str, Any]]] = []
        rest: list[int] = []
        wanted = set(self._taking.columns)
        for at, raw in enumerate(raws):
            if raw is None or stays[at]:
                rest.append(at)
                self._not_kept += raw is None
            elif "line" in raw:
                lines.append((at, raw))
            elif wanted <= raw["row"].keys():
                kept.append((at, raw))
            else:
                rest.append(at)
                self._not_kept += 1
        if len(kept) + len(lines) < len(raws):
            self._carry(rows, rest)
        for _, group in groupby(kept, key=lambda pair: (pair[1].get("types"), [*pair[1]["row"]])):
            some = list(group)
            # Columns that are not needed now are kept for another day.
            table = table_of([raw for _, raw in some], [*some[0][1]["row"]])
            self._take(Batch(table, np.array([numbers[at] for at, _ in some], np.int64)))
        self._lines(rows, numbers, lines)

    def _once(self, rows: pa.Table) -> list[bool]:
        """Rows refused as repeated where the first of them is not here to compare with."""
        contract = self._table.contract
        pairs = zip(rows["rule"].to_pylist(), rows["column"].to_pylist(), strict=True)
        return [
            rule == RULES["unique"] and column in contract and contract[column].unique
            for rule, column in pairs
        ]

    def _lines(
        self, rows: pa.Table, numbers: list[int], lines: Sequence[tuple[int, dict[str, Any]]]
    ) -> None:
        kind = self._source.reader_for(self._table)
        if kind not in LINES:
            self._carry(rows, [at for at, _ in lines])
            return
        for at, raw in lines:
            batch = next(self._reread(kind, raw), None)
            if batch is None or batch.aside or not batch.table.num_rows:
                self._carry(rows, [at])
            else:
                place = np.full(batch.table.num_rows, numbers[at], np.int64)
                self._take(Batch(batch.table, place))

    def _reread(self, kind: str, raw: Mapping[str, Any]) -> Iterator[Batch]:
        """One line, as the only one of a file."""
        options = self._source.options.model_copy(update={"encoding": "utf-8"})
        head = _header(raw["names"], options.delimiter, options.quote) if kind == "csv" else ""
        file = SourceFile.in_memory(self._place[2], f"{head}{raw['line']}\n".encode())
        try:
            reader = open_reader(kind, file, options)
            if set(self._taking.columns) <= set(reader.names):
                yield from reader.batches(self._taking.columns)
        except DataError:
            # Then it is no more readable than it was.
            return

    def _carry(self, rows: pa.Table, places: Sequence[int]) -> None:
        some = rows.take(pa.array(list(places), pa.int64()))
        self._aside.carry(some)
        reasons: list[Any] = some["reason"].to_pylist()
        self._reasons.update(reasons)

    def _take(self, batch: Batch) -> None:
        taken = self._taking.take(batch)
        self._counts["mapped"] += taken.mapped
        self._counts["without_event"] += taken.without_event
        self._refuse(taken.refused)
        self._pending.append(taken)
        if sum(one.events.num_rows for one in self._pending) >= COMMIT_ROWS:
            self._commit()

    def _commit(self) -> None:
        pending, self._pending = self._pending, []
        if not sum(one.events.num_rows for one in pending):
            return
        events = pa.concat_tables([one.events for one in pending])
        issued = np.concatenate([one.issued for one in pending])
        label = f"{self._place[0]}: {self._place[1]} again"
        done = self._timelines.append(events, label=label, issued=issued)
        self._counts["events"] += done.added
        self._counts["versions"] += done.versions
        self._counts["duplicates"] += done.duplicates
        for taken, places in zip(pending, contradicted(pending, done.contradicting), strict=True):
            self._counts["mapped"] -= len(places)
            reasons = dict.fromkeys(places, ("contradiction", None))
            self._refuse(self._taking.refusals(taken.batch, reasons))

    def _refuse(self, rows: Sequence[Refusal]) -> None:
        self._reasons.update(row.reason for row in rows)
        self._aside.refuse(rows)


def _header(names: Sequence[str], delimiter: str, quote: str) -> str:
    said = [f"{quote}{name.replace(quote, quote * 2)}{quote}" for name in names]
    return delimiter.join(said) + "\n"
