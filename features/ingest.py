"""Sources to timelines: incremental, safe to kill at any moment, the same when run twice."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from filelock import FileLock, Timeout

from features.cells import Cells
from features.errors import DataError, JalonError
from features.identity import Vault
from features.mapping import TableMapping, check_mapping, table_name
from features.quality import FileFigures, IngestReport, SourceFigures
from features.set_aside import SetAside, coded_values
from features.settings import FeaturesSettings, PersonsTable, Source, Table
from features.sources import Aside, Batch, missing_column, open_reader
from features.territory import Territory
from features.timelines import Timelines
from features.vocabulary import Vocabulary

__all__ = ["ingest"]

COMMIT_ROWS = 500_000
"""Events of one commit: what a crash can cost, and what is held in memory."""

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class _Job:
    """One file of one table of events."""

    name: str
    source: Source
    table: Table
    file: Path
    relative: str


def ingest(territory: Territory, *, progress: Progress | None = None) -> IngestReport:
    """Read a territory's exports into its timelines.

    Persons tables are read first and their identifiers united; then each event table, file by
    file. A file whose content and mapping are unchanged since it was read is skipped; rows that
    are in the timelines already add nothing, so that a run after a crash ends as a clean one.
    Rows that do not fit are written to ``set-aside/`` with their reason, never with a person's
    values. The events of a source wait while its persons tables cannot be read: taken alone, its
    persons would be strangers to the other services for good.

    Args:
        territory: The opened territory.
        progress: Called with the step under way and the share done, 0 to 1.

    Returns:
        What was found; also written to ``reports/ingest.json``.

    Raises:
        ConfigurationError: a territory file or mapping that cannot be used.
        DataError: nothing at all could be read, or another ingest is running.
    """
    started = time.perf_counter()
    settings = territory.section("features", FeaturesSettings)
    check_mapping(settings, Vocabulary.load(settings.vocabulary))
    with _alone(territory.home):
        vault = Vault.open(territory.home / "identity")
        try:
            run = _Run(territory, settings, vault, progress or (lambda step, share: None))
            report = run.all(started)
        finally:
            vault.close()
    return report


class _Run:
    """One ingest under way."""

    def __init__(
        self, territory: Territory, settings: FeaturesSettings, vault: Vault, tell: Progress
    ) -> None:
        self.territory = territory
        self.settings = settings
        self.vault = vault
        self.tell = tell
        self.failures: list[str] = []
        self.figures: list[FileFigures] = []
        self.added = self.read = self.skipped = 0
        self.aside = territory.home / "set-aside"
        self.timelines = Timelines.open(
            territory.home / "timelines", create=True, buckets=settings.buckets
        )

    def all(self, started: float) -> IngestReport:
        """Persons, then events, then the report."""
        self.tell("persons", 0.0)
        identity, waiting = self._persons()
        jobs = [job for job in self._jobs() if job.name not in waiting]
        sizes = np.array([job.file.stat().st_size for job in jobs], float)
        shares = 0.05 + 0.85 * np.cumsum(sizes) / max(sizes.sum(), 1.0)
        for job, share in zip(jobs, np.append(0.05, shares), strict=False):
            self.tell(f"{job.name}: {job.file.name}", float(share))
            self._file(job)
        if not self.figures:
            raise DataError(
                f"ingesting territory '{self.territory.name}' from '{self.territory.data}': "
                f"no table could be read\n  " + "\n  ".join(self.failures),
                hint="Correct the first of these, or give the exports' folder with --data.",
            )
        self.tell("sorting timelines", 0.92)
        self.timelines.compact()
        report = IngestReport(
            sources=[
                SourceFigures(n, s.service, tuple(f for f in self.figures if f.source == n))
                for n, s in self.settings.sources.items()
            ],
            added=self.added,
            read=self.read,
            skipped=self.skipped,
            failures=self.failures,
            identity=identity,
            subjects=self.vault.count(),
            version=self.timelines.version,
            places={
                "timelines": str(self.timelines.folder),
                "set_aside": str(self.aside),
                "report": str(self.territory.home / "reports" / "ingest.json"),
            },
            seconds=time.perf_counter() - started,
            when=datetime.now(UTC),
        )
        _write_json(self.territory.home / "reports" / "ingest.json", report.as_dict())
        self.tell("done", 1.0)
        return report

    def _persons(self) -> tuple[dict[str, int], set[str]]:
        """Unite the identifiers of every persons table; the sources whose own cannot be read."""
        tables: list[pa.Table] = []
        waiting: set[str] = set()
        aside = 0
        for name, source in self.settings.sources.items():
            for persons in source.persons:
                files = self._files(name, persons.path)
                if not files:
                    waiting.add(name)
                for file in files:
                    try:
                        found, refused = self._identifiers(name, source, persons, file)
                    except JalonError as error:
                        self.failures.append(f"{name}: {error}")
                        waiting.add(name)
                        continue
                    tables += found
                    aside += refused
        self.failures += [
            f"{name}: its events wait until its persons table can be read"
            for name in sorted(waiting)
        ]
        return {**asdict(self.vault.link(tables)), "rows_set_aside": aside}, waiting

    def _identifiers(
        self, name: str, source: Source, persons: PersonsTable, file: Path
    ) -> tuple[list[pa.Table], int]:
        part = persons.table or persons.sheet
        reader = open_reader(source.reader_for(persons), file, source.options, part=part)
        wanted = list(dict.fromkeys(c for columns in persons.keys.values() for c in columns))
        error = missing_column(file, reader.names, wanted)
        if error is not None:
            raise error
        said = f"{persons.path}/{part}" if part else persons.path
        aside = SetAside(self.aside, name, said, self._relative(file))
        found, refused = [], 0
        for batch in reader.batches(wanted):
            cells = Cells(batch.table, source.options.nulls)
            keys = {system: cells.joined(columns) for system, columns in persons.keys.items()}
            found.append(pa.table(keys))
            aside.add(batch.aside)
            refused += len(batch.aside)
        aside.finish()
        return found, refused

    def _jobs(self) -> Iterator[_Job]:
        for name, source in self.settings.sources.items():
            for table in source.tables:
                for file in self._files(name, table.path):
                    yield _Job(name, source, table, file, self._relative(file))

    def _files(self, name: str, pattern: str) -> list[Path]:
        folder = self.territory.data
        found = sorted(path for path in folder.glob(pattern) if path.is_file())
        if not found:
            error = DataError(
                f"reading '{pattern}'",
                expected=f"a file of that name in '{folder}'",
                got="none",
                hint="Correct 'path', or ask the service for the export.",
            )
            if f"{name}: {error}" not in self.failures:
                self.failures.append(f"{name}: {error}")
        return found

    def _relative(self, file: Path) -> str:
        return file.relative_to(self.territory.data).as_posix()

    def _file(self, job: _Job) -> None:
        entry = self.territory.home / "ledger" / f"{self._fingerprint(job)}.json"
        if entry.exists():
            self.skipped += 1
            self.figures.append(FileFigures.from_dict(json.loads(entry.read_text("utf-8"))))
            return
        reading = _Reading(job, self.settings, self.vault, self.timelines, self.aside)
        try:
            figures = reading.run()
        except JalonError as error:
            self.failures.append(f"{job.name}: {error}")
            return
        _write_json(entry, figures.as_dict())
        self.figures.append(figures)
        self.added += figures.events + figures.versions
        self.read += 1

    def _fingerprint(self, job: _Job) -> str:
        """What must be unchanged for a file to be skipped.

        Its content, its mapping, the observed period, the timelines it went to and the key that
        its persons were given pseudonyms with.
        """
        digest = hashlib.sha256(self.vault.secret_for("ledger"))
        scope = [
            self.timelines.table_id,
            job.name,
            job.relative,
            job.source.model_dump_json(exclude={"tables", "persons"}),
            job.table.model_dump_json(),
            self.settings.timezone,
            self.settings.observation.model_dump_json(),
        ]
        digest.update(json.dumps(scope).encode())
        with job.file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()


class _Reading:
    """One file being read into the timelines."""

    def __init__(
        self,
        job: _Job,
        settings: FeaturesSettings,
        vault: Vault,
        timelines: Timelines,
        aside: Path,
    ) -> None:
        self.job = job
        self.timelines = timelines
        self.mapping = TableMapping(job.name, job.source, job.table, settings, vault)
        self.figures = FileFigures(job.name, table_name(job.table), job.relative)
        self.aside = SetAside(aside, job.name, self.figures.table, job.relative)
        self._events: list[pa.Table] = []
        self._rows: list[npt.NDArray[np.int64]] = []

    def run(self) -> FileFigures:
        """Read, map and append, batch by batch.

        Raises:
            DataError: the file cannot be read, or lacks columns of the mapping.
        """
        job = self.job
        part = job.table.table or job.table.sheet
        kind = job.source.reader_for(job.table)
        try:
            reader = open_reader(kind, job.file, job.source.options, part=part)
            error = missing_column(job.file, reader.names, self.mapping.columns)
            if error is not None:
                raise error
            for batch in reader.batches(self.mapping.columns):
                self._batch(batch)
            self._commit()
        except BaseException:
            self.aside.discard()
            raise
        self.aside.finish()
        return self.figures

    def _batch(self, batch: Batch) -> None:
        mapped = self.mapping.apply(batch)
        refused = [
            Aside(int(batch.rows[place]), reason, column)
            for place, (reason, column) in sorted(mapped.aside.items())
        ]
        figures = self.figures
        figures.rows += batch.table.num_rows + len(batch.aside)
        figures.mapped += batch.table.num_rows - len(refused) - mapped.without_event
        figures.without_event += mapped.without_event
        figures.persons_created += mapped.created
        figures.unknown.update({f"{c}={v}": n for (c, v), n in mapped.unknown.items()})
        figures.saw(mapped.events)
        self._refuse(batch.aside)
        self._refuse(refused, coded_values(self.job.table, batch, mapped.aside))
        self._events.append(mapped.events)
        self._rows.append(batch.rows[mapped.places])
        if sum(events.num_rows for events in self._events) >= COMMIT_ROWS:
            self._commit()

    def _commit(self) -> None:
        if not self._events:
            return
        events, rows = pa.concat_tables(self._events), np.concatenate(self._rows)
        self._events, self._rows = [], []
        label = f"{self.job.name}: {self.figures.table}"
        done = self.timelines.append(events, label=label)
        self.figures.events += done.added
        self.figures.duplicates += done.duplicates
        self.figures.versions += done.versions
        against = np.unique(rows[list(done.contradicting)])
        self.figures.mapped -= len(against)
        self._refuse([Aside(int(row), "contradiction") for row in against])

    def _refuse(self, rows: list[Aside], coded: dict[int, str] | None = None) -> None:
        self.figures.set_aside.update(Counter(row.reason for row in rows))
        self.aside.add(rows, coded)


def _write_json(file: Path, content: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    text = json.dumps(content, ensure_ascii=False, indent=2, default=str)
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, file)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / "ingest.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise DataError(
            f"ingesting into '{home}'",
            expected="one ingest at a time",
            got="another that is running",
            hint="Wait until it ends.",
        ) from None
    try:
        yield
    finally:
        lock.release()
