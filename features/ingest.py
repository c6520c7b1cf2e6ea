"""Sources to timelines: incremental, safe to kill at any moment, the same when run twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from features.errors import DataError, JalonError
from features.identity import Vault
from features.identity.settling import settle
from features.jobs import Continued, Job, find_jobs
from features.ledger import Ledger, write_json
from features.mapping import check_mapping, table_name
from features.optional import absent_tables
from features.persons import unite_persons
from features.quality import FileFigures, IngestReport
from features.reading import Reading
from features.report import figures_of_sources
from features.report_pages import write_pages
from features.settings import FeaturesSettings
from features.territory import Territory
from features.timelines import Timelines
from features.vocabulary import Vocabulary

__all__ = ["alone", "ingest"]

Progress = Callable[[str, float], None]


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
    with alone(territory.home):
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
        self.present: set[tuple[str, str, str]] = set()
        self.found: set[tuple[str, str]] = set()
        self.added = self.read = self.skipped = 0
        self.aside = territory.home / "set-aside"
        self.timelines = Timelines.open(
            territory.home / "timelines", create=True, buckets=settings.buckets
        )
        self.ledger = Ledger(
            territory.home / "ledger",
            vault.secret_for("ledger"),
            self.timelines.table_id,
            settings,
        )

    def all(self, started: float) -> IngestReport:
        """Persons, then events, then the report."""
        self.tell("persons", 0.0)
        identity, waiting, self.failures = unite_persons(
            self.territory.data, self.aside, self.settings, self.vault
        )
        settle(self.vault, self.timelines)
        jobs = self._jobs(waiting)
        sizes = np.array([job.file.size for job in jobs], float)
        shares = 0.05 + 0.85 * np.cumsum(sizes) / max(sizes.sum(), 1.0)
        for job, share in zip(jobs, np.append(0.05, shares), strict=False):
            self.tell(f"{job.name}: {job.file.name}", float(share))
            try:
                self._file(job)
            except JalonError as error:
                self.failures.append(f"{job.name}: {error}")
        if not self.figures:
            raise DataError(
                f"ingesting territory '{self.territory.name}' from '{self.territory.data}': "
                f"no table could be read\n  " + "\n  ".join(self.failures),
                hint="Correct the first of these, or give the exports' folder with --data.",
            )
        self.tell("sorting timelines", 0.92)
        self.timelines.compact()
        report = self._report(identity, started)
        reports = self.territory.home / "reports"
        write_json(reports / "ingest.json", report.as_dict())
        write_pages(report, reports)
        self.tell("done", 1.0)
        return report

    def _report(self, identity: dict[str, int], started: float) -> IngestReport:
        now = datetime.now(UTC)
        home = self.territory.home
        return IngestReport(
            sources=figures_of_sources(
                home, self.settings, self.timelines, self.figures, self.present, now
            ),
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
                "report": str(home / "reports" / "ingest.json"),
                "pages": str(home / "reports" / "sources.html"),
            },
            seconds=time.perf_counter() - started,
            when=now,
            absent=absent_tables(self.settings, self.found),
        )

    def _jobs(self, waiting: set[str]) -> list[Job]:
        jobs: list[Job] = []
        for name, found, errors in find_jobs(self.territory.data, self.settings):
            said = [f"{name}: {error}" for error in errors]
            self.failures += [one for one in said if one not in self.failures]
            jobs += found if name not in waiting else []
            self.present |= {(name, table_name(job.table), job.file.relative) for job in found}
            self.found |= {(name, job.table.path) for job in found}
        return jobs

    def _file(self, job: Job) -> None:
        key = self.ledger.key(job)
        entry = self.ledger.entry(key)
        earlier = None if entry is None else FileFigures.from_dict(entry["figures"])
        if isinstance(job.file, Continued):
            secret = self.vault.secret_for("reached")
            table = job.file.since(entry and entry["reached"], secret)
            job = replace(job, file=table)
            # Read from its first row again, it is counted from there.
            earlier = earlier if table.on else None
        elif earlier is not None:
            self.skipped += 1
            self.ledger.met(key)
            self.figures.append(earlier)
            return
        # What is set aside of a table that is read on stays beside what was set aside before.
        reading = Reading(
            job, self.settings, self.vault, self.timelines, self.aside, on=earlier is not None
        )
        figures = reading.run()
        self.added += figures.events + figures.versions
        self.read += 1
        figures = figures if earlier is None else figures.plus(earlier)
        content = {"figures": figures.as_dict(), "reached": reading.reached}
        self.ledger.keep(key, {**content, "timelines": self.timelines.table_id})
        self.figures.append(figures)


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Hold a work folder's lock.

    Raises:
        DataError: another process holds it.
    """
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
