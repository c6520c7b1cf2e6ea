"""What the reports are made of: figures of every file ever read, as they stand now, by source."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from features.aside_files import AsideFile, aside_path
from features.heartbeat import feeds, weeks
from features.jobs import find_jobs
from features.ledger import write_json
from features.mapping import table_name
from features.quality import REASONS, FileFigures, IngestReport, SourceFigures
from features.report_pages import write_pages
from features.settings import FeaturesSettings
from features.territory import Territory
from features.timelines import Timelines

__all__ = ["figures_of_sources", "renew_reports", "with_replays"]

Place = tuple[str, str, str]


def figures_of_sources(
    home: Path,
    settings: FeaturesSettings,
    timelines: Timelines,
    read: Sequence[FileFigures],
    present: Collection[Place],
    now: datetime,
) -> list[SourceFigures]:
    """The figures of each source: the files of this run, and those read before that are gone.

    What replays made of rows set aside is taken into account, and so is what the timelines say of
    when each source last sent.

    Args:
        home: The territory's work folder.
        settings: Its sources.
        timelines: Where the events are.
        read: Figures of this run's files.
        present: Source, table and file of everything among the exports now.
        now: The present instant, with its zone.

    Returns:
        One per source, in the order of the territory file.
    """
    known = {_place(one): one for one in read}
    for earlier in _kept(home / "ledger", settings, timelines.table_id):
        known.setdefault(_place(earlier), earlier)
    folder = home / "set-aside"
    files = [
        with_replays(replace(one, gone=place not in present), folder)
        for place, one in known.items()
    ]
    found = feeds(timelines, settings, now)
    return [
        SourceFigures(
            name,
            source.service,
            tuple(one for one in files if one.source == name),
            found[name][0],
            weeks(found[name][1]),
        )
        for name, source in settings.sources.items()
    ]


def renew_reports(
    territory: Territory,
    settings: FeaturesSettings,
    timelines: Timelines,
    replayed: Mapping[str, Any],
) -> None:
    """Write the reports of the last ingest again, as rows set aside stand now.

    Args:
        territory: The opened territory.
        settings: Its sources.
        timelines: Where the events are.
        replayed: What mapping rows again gave; kept as `retry` in ``reports/ingest.json``.
    """
    folder = territory.home / "reports"
    file = folder / "ingest.json"
    before: dict[str, Any] = {}
    if file.exists():
        before = json.loads(file.read_text(encoding="utf-8"))
    jobs = [job for _, found, _ in find_jobs(territory.data, settings) for job in found]
    present = {(job.name, table_name(job.table), job.file.relative) for job in jobs}
    now = datetime.now(UTC)
    report = IngestReport(
        sources=figures_of_sources(territory.home, settings, timelines, [], present, now),
        added=before.get("events_added", 0),
        read=before.get("files_read", 0),
        skipped=before.get("files_skipped", 0),
        failures=before.get("failures", []),
        identity=before.get("identity", {}),
        subjects=before.get("persons", 0),
        version=timelines.version,
        places=before.get("places", {}),
        seconds=replayed["seconds"],
        when=now,
    )
    said = report.as_dict()
    renewed = {name: said[name] for name in ("when", "sources", "silent", "timelines_version")}
    write_json(file, {**said, **before, **renewed, "retry": dict(replayed)})
    write_pages(report, folder)


def with_replays(figures: FileFigures, folder: Path) -> FileFigures:
    """A file's figures after rows that it set aside were mapped again.

    Args:
        figures: As they were when the file was read.
        folder: The territory's ``set-aside``.

    Returns:
        The same object where nothing was mapped again.
    """
    path = aside_path(folder, *_place(figures))
    if not path.exists():
        return figures
    file = AsideFile(path)
    if not file.replayed:
        return figures
    aside: Counter[str] = Counter()
    where: Counter[str] = Counter()
    for (reason, column, rule), count in file.reasons().items():
        aside[reason] += count
        said = "" if rule == REASONS.get(reason) else rule
        where["|".join((reason, column or "", said))] += count
    counts = {
        name: getattr(figures, name) + file.replayed.get(name, 0)
        for name in ("mapped", "without_event", "events", "versions", "duplicates")
    }
    unknown = Counter(file.unknown)
    return replace(figures, set_aside=aside, where=where, unknown=unknown, **counts)


def _place(figures: FileFigures) -> Place:
    return figures.source, figures.table, figures.file


def _kept(ledger: Path, settings: FeaturesSettings, table_id: str) -> Iterator[FileFigures]:
    """What the ledger says of files read into these timelines, the newest entry first."""
    tables = {
        (name, table_name(table))
        for name, source in settings.sources.items()
        for table in source.tables
    }
    entries = sorted(ledger.glob("*.json"), key=lambda file: -file.stat().st_mtime_ns)
    for entry in entries:
        content = json.loads(entry.read_text(encoding="utf-8"))
        if content.get("timelines") != table_id:
            continue
        figures = FileFigures.from_dict(content["figures"])
        if (figures.source, figures.table) in tables:
            yield figures
