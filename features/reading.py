"""One file read into the timelines: mapped, counted, committed; what does not fit set aside."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from features.identity import Vault
from features.jobs import Job
from features.mapping import table_name
from features.optional import fitting
from features.quality import FileFigures
from features.set_aside import PURPOSE, Refusal, SetAside
from features.settings import FeaturesSettings
from features.sources import VALUES, Batch, missing_column, open_reader, readable
from features.taking import Taken, Taking, contradicted
from features.timelines import Appended, Timelines

__all__ = ["COMMIT_ROWS", "Reading"]

COMMIT_ROWS = 500_000
"""Events of one commit: what a crash can cost, twice, and what is held in memory, twice."""


class Reading:
    """One file being read into the timelines.

    Args:
        job: Which file, and how.
        settings: The territory's.
        vault: Gives pseudonyms.
        timelines: Where events go.
        aside: The folder of rows set aside.
        on: The table is read on from where it was reached: rows set aside before stay.

    Attributes:
        figures: What was found so far.
        reached: Where the next reading of a table that grows begins; None for other files.
    """

    def __init__(
        self,
        job: Job,
        settings: FeaturesSettings,
        vault: Vault,
        timelines: Timelines,
        aside: Path,
        *,
        on: bool = False,
    ) -> None:
        self.job = job
        self.timelines = timelines
        self._made = lambda table: Taking(job.name, job.source, table, settings, vault)
        self.taking = self._made(job.table)
        self.figures = FileFigures(job.name, table_name(job.table), job.file.relative)
        place = (job.name, self.figures.table, job.file.relative)
        self.aside = SetAside(aside, *place, vault.secret_for(PURPOSE), keep=on)
        self.reached: Any | None = None
        self._names: tuple[str, ...] = ()
        self._pending: list[Taken] = []
        self._written: tuple[list[Taken], Future[Appended]] | None = None

    def run(self) -> FileFigures:
        """Read, map and append, batch by batch.

        Raises:
            DataError: the file cannot be read, or lacks columns of the mapping.
        """
        job = self.job
        try:
            reader = open_reader(job.kind, job.file, job.source.options, part=job.part)
            table, self.figures.left_out = fitting(job.table, reader.names)
            if table is not job.table:
                self.taking = self._made(table)
            error = missing_column(job.file, reader.names, self.taking.columns)
            if error is not None:
                raise error
            self._names = reader.names
            with ThreadPoolExecutor(1) as self._writer:
                for batch in reader.batches(self.taking.columns):
                    self._batch(batch)
                self._commit()
                self._settle()
        except BaseException:
            self.aside.discard()
            raise
        self.aside.finish()
        self.reached = getattr(reader, "reached", None)
        self.figures.taken = getattr(reader, "dialect", {})
        self.figures.unknown = self.taking.unknown()
        return self.figures

    def _batch(self, batch: Batch) -> None:
        with readable(self.job.file, self.job.kind, VALUES):
            taken = self.taking.take(batch)
        figures = self.figures
        figures.rows += batch.table.num_rows + len(batch.aside)
        figures.mapped += taken.mapped
        figures.without_event += taken.without_event
        figures.persons_created += taken.created
        figures.read(batch.table, self.job.source.options.nulls)
        figures.saw(taken.events)
        self._refuse(Refusal.of(one, self._names) for one in batch.aside)
        self._refuse(taken.refused)
        self._pending.append(taken)
        if sum(one.events.num_rows for one in self._pending) >= COMMIT_ROWS:
            self._commit()

    def _commit(self) -> None:
        """Hand what is pending to the writer, which appends it while the next rows are mapped."""
        self._settle()
        pending, self._pending = self._pending, []
        if not sum(taken.events.num_rows for taken in pending):
            return
        self._written = pending, self._writer.submit(self._append, pending)

    def _append(self, pending: list[Taken]) -> Appended:
        events = pa.concat_tables([taken.events for taken in pending])
        issued = np.concatenate([taken.issued for taken in pending])
        label = f"{self.job.name}: {self.figures.table}"
        return self.timelines.append(events, label=label, issued=issued)

    def _settle(self) -> None:
        """Wait for the last commit, and count what it did.

        It is waited for at the same row of the file at every run, so that what is shown and kept
        depends on no thread's pace.
        """
        if self._written is None:
            return
        (pending, commit), self._written = self._written, None
        done = commit.result()
        self.figures.events += done.added
        self.figures.duplicates += done.duplicates
        self.figures.versions += done.versions
        for taken, places in zip(pending, contradicted(pending, done.contradicting), strict=True):
            self.figures.mapped -= len(places)
            reasons = dict.fromkeys(places, ("contradiction", None))
            self._refuse(self.taking.refusals(taken.batch, reasons))

    def _refuse(self, rows: Iterable[Refusal]) -> None:
        """Set rows aside: every refusal of a row of events passes here."""
        noted = list(rows)
        for row in noted:
            self.figures.refused(row.reason, row.column, row.rule)
        self.aside.refuse(noted)
