"""Sources to timelines: incremental, safe to kill at any moment, the same when run twice."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
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
from features.redaction import FEWEST, WITHHELD
from features.set_aside import SetAside, coded_values
from features.settings import FeaturesSettings, PersonsTable, Source, Table
from features.sources import VALUES, Aside, Batch, missing_column, open_reader, readable
from features.territory import Territory
from features.timelines import Timelines
from features.vocabulary import Vocabulary

__all__ = ["ingest"]

RULES = 2
"""Of what a report may show of a file; a higher number has every file read again."""

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
    values. While a persons table cannot be read, its source waits, and so does every source that
    shares identifiers with it, directly or through others: taken without it, one person would be
    several for good.

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
        sizes = np.array([_size(job.file) for job in jobs], float)
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
        """Unite the identifiers of the persons tables; the sources that wait for one of them."""
        tables: dict[str, list[pa.Table]] = {name: [] for name in self.settings.sources}
        unread: dict[str, set[str]] = {}
        aside = 0
        for name, source in self.settings.sources.items():
            for persons in source.persons:
                files, whole = self._files(name, persons.path)
                for file in files:
                    try:
                        found, refused = self._identifiers(name, source, persons, file)
                    except JalonError as error:
                        self.failures.append(f"{name}: {error}")
                        whole = False
                        continue
                    tables[name] += found
                    aside += refused
                if not whole:
                    unread.setdefault(name, set()).update(persons.keys)
        waiting = _waiting(self.settings.sources, unread)
        for name in sorted(waiting):
            others = ", ".join(sorted(waiting[name] - {name}))
            whose = "its persons table" if name in unread else f"the persons table of {others}"
            why = "" if name in unread else ": they share identifiers of persons"
            self.failures.append(f"{name}: its events wait until {whose} can be read{why}")
        # What is united once stays so: a table of a source that waits must not be taken alone.
        taken = [one for name, found in tables.items() if name not in waiting for one in found]
        return {**asdict(self.vault.link(taken)), "rows_set_aside": aside}, set(waiting)

    def _identifiers(
        self, name: str, source: Source, persons: PersonsTable, file: Path
    ) -> tuple[list[pa.Table], int]:
        part = persons.table or persons.sheet
        kind = source.reader_for(persons)
        reader = open_reader(kind, file, source.options, part=part)
        wanted = list(dict.fromkeys(c for columns in persons.keys.values() for c in columns))
        error = missing_column(file, reader.names, wanted)
        if error is not None:
            raise error
        said = f"{persons.path}/{part}" if part else persons.path
        aside = SetAside(self.aside, name, said, self._relative(file))
        found, refused = [], 0
        try:
            for batch in reader.batches(wanted):
                cells = Cells(batch.table, source.options.nulls)
                with readable(file, kind, VALUES):
                    keys = {system: cells.joined(said) for system, said in persons.keys.items()}
                found.append(pa.table(keys))
                aside.add(batch.aside)
                refused += len(batch.aside)
        except BaseException:
            aside.discard()
            raise
        aside.finish()
        return found, refused

    def _jobs(self) -> Iterator[_Job]:
        for name, source in self.settings.sources.items():
            for table in source.tables:
                for file in self._files(name, table.path)[0]:
                    yield _Job(name, source, table, file, self._relative(file))

    def _files(self, name: str, pattern: str) -> tuple[list[Path], bool]:
        """The files of a path, and whether nothing of that name was left out."""
        folder = self.territory.data
        met = sorted(folder.glob(pattern))
        found = [path for path in met if path.is_file()]
        errors = [
            DataError(
                f"reading '{path.name}'",
                expected="a file",
                got="a folder" if path.is_dir() else "a link that leads to none",
                hint="Replace it by the export itself, or correct 'path'.",
            )
            for path in met
            if path not in found
        ]
        if not met:
            errors = [
                DataError(
                    f"reading '{pattern}'",
                    expected=f"a file of that name in '{folder}'",
                    got="none",
                    hint="Correct 'path', or ask the service for the export.",
                )
            ]
        for error in errors:
            if f"{name}: {error}" not in self.failures:
                self.failures.append(f"{name}: {error}")
        return found, not errors

    def _relative(self, file: Path) -> str:
        return file.relative_to(self.territory.data).as_posix()

    def _file(self, job: _Job) -> None:
        try:
            fingerprint = self._fingerprint(job)
        except JalonError as error:
            self.failures.append(f"{job.name}: {error}")
            return
        entry = self.territory.home / "ledger" / f"{fingerprint}.json"
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
            RULES,
            self.timelines.table_id,
            job.name,
            job.relative,
            job.source.model_dump_json(exclude={"tables", "persons"}),
            job.table.model_dump_json(),
            self.settings.timezone,
            self.settings.observation.model_dump_json(),
        ]
        digest.update(json.dumps(scope).encode())
        # What SQLite has written last may still stand in its log, beside the file.
        log = job.file.with_name(f"{job.file.name}-wal")
        for file in (job.file, log):
            if file == log and not log.exists():
                continue
            with readable(file, job.source.reader_for(job.table)), file.open("rb") as stream:
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
        self._kind = job.source.reader_for(job.table)
        self._unknown: Counter[tuple[str, str]] = Counter()
        self._personal: set[str] = set()

    def run(self) -> FileFigures:
        """Read, map and append, batch by batch.

        Raises:
            DataError: the file cannot be read, or lacks columns of the mapping.
        """
        job = self.job
        part = job.table.table or job.table.sheet
        try:
            reader = open_reader(self._kind, job.file, job.source.options, part=part)
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
        shown = self._shown()
        for (column, value), count in self._unknown.items():
            said = value if (column, value) in shown or value == "(missing)" else WITHHELD
            self.figures.unknown[f"{column}={said}"] += count
        return self.figures

    def _shown(self) -> set[tuple[str, str]]:
        """Unlisted codes that may be shown: met often enough, and never a key of a person."""
        return {
            one
            for one, count in self._unknown.items()
            if count >= FEWEST and one[1] not in self._personal
        }

    def _batch(self, batch: Batch) -> None:
        with readable(self.job.file, self._kind, VALUES):
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
        self._unknown.update(mapped.unknown)
        self._personal |= mapped.personal
        figures.saw(mapped.events)
        self._refuse(batch.aside)
        job = self.job
        coded = coded_values(job.source, job.table, batch, mapped.aside, self._shown())
        self._refuse(refused, coded)
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


def _waiting(sources: Mapping[str, Source], unread: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Sources that may speak of the same persons as a persons table that cannot be read.

    Args:
        sources: Every source.
        unread: By source, the systems of its persons tables that cannot be read.

    Returns:
        The sources that wait, and for whose persons tables.
    """
    systems = {
        name: {
            source.person.system,
            *(table.person.system for table in source.tables if table.person is not None),
            *(system for persons in source.persons for system in persons.keys),
        }
        for name, source in sources.items()
    }
    waiting: dict[str, set[str]] = {}
    for owner, keys in unread.items():
        met, reached = {owner}, keys | systems[owner]
        while more := {name for name in systems if name not in met and systems[name] & reached}:
            met |= more
            reached = reached.union(*(systems[name] for name in more))
        for name in met:
            waiting.setdefault(name, set()).add(owner)
    return waiting


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


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
