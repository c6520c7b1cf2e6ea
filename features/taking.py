"""What one batch of raw rows gives: events, and the rows that are refused, with all that is kept.

Reading a file and mapping kept rows again both go through here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.cells import Cells
from features.contracts import RULES, Contract
from features.identity import Vault
from features.mapping import TableMapping
from features.redaction import FEWEST, WITHHELD
from features.sealed_rows import raw_rows
from features.set_aside import Refusal
from features.settings import FeaturesSettings, Source, Table
from features.sources import Batch

Mask = npt.NDArray[np.bool_]

__all__ = ["Taken", "Taking", "contradicted"]


@dataclass(frozen=True)
class Taken:
    """What one batch gave.

    Attributes:
        batch: The rows.
        events: Rows of the events contract.
        issued: int64 per event, the pseudonym of the very identifier that its row came with.
        places: int64 per event, the place of its row in the batch.
        refused: Rows that the contract or the mapping refused.
        mapped: Rows that became events.
        without_event: Rows of which no rule made an event.
        created: Persons met for the first time.
    """

    batch: Batch
    events: pa.Table
    issued: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    refused: list[Refusal]
    mapped: int
    without_event: int
    created: int


class Taking:
    """One table's contract and mapping, applied to the batches of one file.

    Args:
        name: The source's name.
        source: How it is written.
        table: Its contract and mapping.
        settings: The territory's.
        vault: Gives pseudonyms.
    """

    def __init__(
        self, name: str, source: Source, table: Table, settings: FeaturesSettings, vault: Vault
    ) -> None:
        self._source = source
        self._table = table
        self._vault = vault
        self._person = table.person or source.person
        self.mapping = TableMapping(name, source, table, settings, vault)
        self._contract = Contract.of(table, source, settings)
        self._unknown: Counter[tuple[str, str]] = Counter()
        self._personal: set[str] = set()

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the mapping or the contract reads."""
        more = self._contract.columns if self._contract is not None else ()
        return tuple(dict.fromkeys([*self.mapping.columns, *more]))

    def take(self, batch: Batch) -> Taken:
        """The events of a batch, and the rows refused.

        Args:
            batch: Raw rows with at least :attr:`columns`.

        Raises:
            DataError: a column whose type cannot be read.
        """
        rows = batch.table.num_rows
        broken = self._contract.broken(batch) if self._contract is not None else {}
        whole, places = batch, np.arange(rows, dtype=np.int64)
        if broken:
            places = np.setdiff1d(places, np.fromiter(broken, np.int64, len(broken)))
            batch = Batch(whole.table.take(pa.array(places, pa.int64())), whole.rows[places])
        mapped = self.mapping.apply(batch)
        self._unknown.update(mapped.unknown)
        self._personal |= mapped.personal
        reasons: dict[int, tuple[str, str | None]] = {
            place: ("contract", one.column) for place, one in broken.items()
        }
        reasons |= {int(places[place]): why for place, why in mapped.aside.items()}
        rules = {place: RULES[one.rule] for place, one in broken.items()}
        return Taken(
            whole,
            mapped.events,
            mapped.issued,
            places[mapped.places],
            self.refusals(whole, reasons, rules),
            rows - len(reasons) - mapped.without_event,
            mapped.without_event,
            mapped.created,
        )

    def refusals(
        self,
        batch: Batch,
        reasons: Mapping[int, tuple[str, str | None]],
        rules: Mapping[int, str] | None = None,
    ) -> list[Refusal]:
        """Rows to set aside, with their person, their coded values and themselves.

        Args:
            batch: The rows as they were read.
            reasons: Places in the batch to reason and column.
            rules: Places to what was broken, where the reason alone does not say it.
        """
        if not reasons:
            return []
        said = rules or {}
        places = sorted(reasons)
        coded = coded_values(self._source, self._table, batch, places, self.shown())
        persons, erased = self._persons(batch, places)
        rows = zip(places, persons, raw_rows(batch.table, places), erased.tolist(), strict=True)
        return [
            Refusal(int(batch.rows[place]), *reasons[place], said.get(place))
            # Nothing is kept of a person who was erased.
            if gone
            else Refusal(
                int(batch.rows[place]),
                *reasons[place],
                said.get(place),
                coded.get(int(batch.rows[place])),
                person,
                raw,
            )
            for place, person, raw, gone in rows
        ]

    def _persons(self, batch: Batch, places: list[int]) -> tuple[list[str | None], Mask]:
        """The pseudonyms that the rows' identifiers were issued, and whose person was erased."""
        columns, system = self._person.columns, self._person.system
        picked = batch.table.select(columns).take(pa.array(places, pa.int64()))
        keys: Any = Cells(picked, self._source.options.nulls).joined(columns)
        issued = self._vault.issued(system, keys)
        strange = (self._vault.resolve(system, keys) == 0) & (issued > 0)
        gone = np.zeros(len(places), bool)
        values: list[Any] = keys.filter(pa.array(strange)).to_pylist()
        gone[strange] = self._vault.was_erased(system, values)
        return [str(one) if one > 0 else None for one in issued.tolist()], gone

    def shown(self) -> set[tuple[str, str]]:
        """Unlisted codes that may be shown: met often enough, and never a key of a person."""
        return {
            one
            for one, count in self._unknown.items()
            if count >= FEWEST and one[1] not in self._personal
        }

    def unknown(self) -> Counter[str]:
        """Codes that no rule lists, as `column=code` to count, or `column=(withheld)`."""
        shown = self.shown()
        found: Counter[str] = Counter()
        for (column, value), count in self._unknown.items():
            said = value if (column, value) in shown or value == "(missing)" else WITHHELD
            found[f"{column}={said}"] += count
        return found


def contradicted(pending: Sequence[Taken], positions: Sequence[int]) -> list[list[int]]:
    """The rows whose events contradict what is known.

    Args:
        pending: What was appended together, in order.
        positions: Of the contradicting events among theirs.

    Returns:
        For each, places of rows in its batch, ascending.
    """
    against = np.array(positions, np.int64)
    found, first = [], 0
    for taken in pending:
        last = first + taken.events.num_rows
        here = against[(against >= first) & (against < last)] - first
        found.append([int(place) for place in np.unique(taken.places[here])])
        first = last
    return found


def coded_values(
    source: Source,
    table: Table,
    batch: Batch,
    places: Iterable[int],
    shown: Collection[tuple[str, str]] = (),
) -> dict[int, str]:
    """The values of the columns that make the codes, by row number; withheld unless they are codes.

    Args:
        source: How missing values are written.
        table: The mapping: only columns named in a rule's `code` are shown, and of them the
            values that its `values` list.
        batch: The raw rows.
        places: Which of them.
        shown: Columns and values that may be shown besides.
    """
    columns = sorted({column for rule in table.events for column in rule.code_columns})
    wanted = list(places)
    if not columns or not wanted:
        return {}
    allowed = {(c, v) for rule in table.events for c, vs in rule.values.items() for v in vs}
    allowed |= set(shown)
    picked = batch.table.select(columns).take(pa.array(wanted, pa.int64()))
    cells = Cells(picked, source.options.nulls)
    texts: list[list[Any]] = [cells.text(column).to_pylist() for column in columns]
    return {
        int(batch.rows[place]): json.dumps(
            {
                column: text if (column, text) in allowed else WITHHELD
                for column, text in zip(columns, values, strict=True)
                if text is not None
            },
            ensure_ascii=False,
        )
        for place, values in zip(wanted, zip(*texts, strict=True), strict=True)
    }
