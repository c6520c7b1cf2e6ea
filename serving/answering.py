"""Answers of the service: a person by an identifier, or a timeline given in the request."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from sqlalchemy import func, select

from features.errors import JalonError
from features.events import WITHDRAWN
from features.settings import FeaturesSettings
from features.territory import Territory
from serving.database import Database, Score
from serving.instants import read_prediction_time
from serving.requested import events_table, faults_of, invented
from serving.schemas import TimelineIn
from serving.scoring import score_cohort
from serving.settings import ServingSettings
from training.settings import TrainingSettings

if TYPE_CHECKING:
    from features.identity import Vault
    from features.timelines import Timelines
    from training.champion import Champion

__all__ = ["Outcome", "Run", "Scorer"]

log = logging.getLogger(__name__)

Status = Literal["scored", "unknown_person", "not_at_risk", "objects"]


@dataclass(frozen=True)
class Outcome:
    """What is answered for one person or timeline.

    Attributes:
        status: `scored`; `unknown_person`: no data under this identifier; `not_at_risk`: no open
            pathway at that instant, or one that is broken already, as known then; `objects`: the
            person objects to being scored.
        score: A row of the table `scores` when scored.
        stored: Whether that row is in the state database.
    """

    status: Status
    score: dict[str, Any] | None = None
    stored: bool = False


@dataclass(frozen=True)
class Run:
    """The latest stored batch of the present model: how many people, and the local day."""

    people: int
    local_day: date


class Scorer:
    """An opened territory that answers requests from several threads.

    Features, model and reasons of one request are computed while no other request does: the
    compiled kernels use every core they are given, and are not meant to run twice at once.

    Attributes:
        territory: What is served.
        features: Its `features:` section.
        training: Its `training:` section.
        settings: Its `serving:` section.
        champion: The model in service; looked for again every `refresh_seconds`.
    """

    def __init__(
        self,
        territory: Territory,
        database: Database,
        vault: Vault,
        timelines: Timelines,
        champion: Champion,
    ) -> None:
        self.territory = territory
        self.database = database
        self.vault = vault
        self.timelines = timelines
        self.champion = champion
        self.features = territory.section("features", FeaturesSettings)
        self.training = territory.section("training", TrainingSettings)
        self.settings = territory.section("serving", ServingSettings)
        self._codes: frozenset[str] | None = None
        self._computing = threading.Lock()
        self._looking = threading.Lock()
        self._looked = time.monotonic()
        self._seen = _stamp(territory)
        self._written = _written(territory)
        self._run: tuple[float, str, Run | None] | None = None

    @classmethod
    def open(cls, territory: Territory, database: Database) -> Scorer:
        """Open the vault, the timelines and the champion of a territory.

        Raises:
            JalonError: one of them is not there, with the command that makes it.
        """
        from features.identity import Vault
        from training.registry import load_champion

        timelines = _open_timelines(territory)
        vault = Vault.open(territory.home / "identity")
        return cls(territory, database, vault, timelines, load_champion(territory))

    @property
    def model_name(self) -> str:
        """The kind of the model in service: rule, logistic, lightgbm."""
        return self.champion.model.kind

    def prediction_time(self, value: str | None) -> datetime:
        """The instant meant by a request, in UTC without zone."""
        return read_prediction_time(value, self.features)

    def warm(self) -> None:
        """Go the whole way once with an invented event, so that no request waits for it."""
        at = self.prediction_time(None)
        events = events_table([invented(self.features)])
        cohort = _cohort([1], at)
        with self._computing:
            self._pathways(events, at)
            score_cohort(
                self.champion,
                events,
                cohort,
                bands=self.settings.bands,
                data_version=-1,
            )
        self.vault.resolve(next(iter(self.features.sources.values())).person.system, ["-"])
        self.timelines.read(np.array([1], np.int64))

    def systems_of(
        self, service: str, asked: Sequence[str | None]
    ) -> tuple[list[str], list[dict[str, str]]]:
        """The system of each identifier, and the fields that name one the service does not hold.

        A service may use the identifiers of its own files, its own number first; never the NIR,
        which has no place in a request.
        """
        allowed = _systems(self.features, service)
        faults = [
            {"field": f"persons[{i}].system", "rule": "should be one of " + ", ".join(allowed)}
            for i, system in enumerate(asked)
            if system is not None and system not in allowed
        ]
        return [system or allowed[0] for system in asked], faults

    def score_persons(
        self, systems: Sequence[str], identifiers: Sequence[str], at: datetime
    ) -> list[Outcome]:
        """One outcome per person, in order: the stored score, or one computed and stored now.

        Args:
            systems: The system of each identifier.
            identifiers: As the calling service writes them.
            at: Prediction time, UTC without zone.
        """
        champion, timelines = self._champion(), self._timelines()
        subjects = np.zeros(len(identifiers), np.int64)
        for system in set(systems):
            where = [i for i, name in enumerate(systems) if name == system]
            subjects[where] = self.vault.resolve(system, [identifiers[i] for i in where])
        objecting = set(self.vault.objected().tolist())
        wanted = np.unique(subjects[(subjects > 0) & ~np.isin(subjects, list(objecting))])
        version = timelines.version
        found = self.database.scores_of(
            wanted.tolist(),
            prediction_time=at,
            model_version=champion.version,
            data_version=version,
        )
        missing = wanted[~np.isin(wanted, np.fromiter(found, np.int64, len(found)))]
        if len(missing):
            events = timelines.read(missing)
            with self._computing:
                rows = self._score(champion, events, self._pathways(events, at), version)
            self.database.add_scores(rows)
            found |= {row["subject_id"]: row for row in rows}
        return [
            Outcome("objects") if int(subject) in objecting else self._outcome(int(subject), found)
            for subject in subjects
        ]

    def score_timelines(self, timelines: Sequence[TimelineIn], at: datetime) -> list[Outcome]:
        """One outcome per timeline, in order, by the same path; nothing is stored."""
        champion = self._champion()
        events = events_table(timelines)
        with self._computing:
            rows = self._score(champion, events, self._pathways(events, at), -1)
        found = {row["subject_id"]: row for row in rows}
        return [
            Outcome("scored", found[i]) if i in found else Outcome("not_at_risk")
            for i in range(1, len(timelines) + 1)
        ]

    def faults_of(self, timelines: Sequence[TimelineIn]) -> list[dict[str, str]]:
        """Fields that name a source or a code which the territory does not have."""
        if self._codes is None:
            from features.vocabulary import Vocabulary

            known = Vocabulary.load(self.features.vocabulary).codes
            self._codes = frozenset(known) | {WITHDRAWN}
        return faults_of(timelines, self._codes, tuple(self.features.sources))

    def latest_run(self) -> Run | None:
        """The latest instant that people were scored at by the model in service, for a page."""
        version = self.champion.version
        if self._run and time.monotonic() - self._run[0] < 10 and self._run[1] == version:
            return self._run[2]
        query = (
            select(Score.prediction_time, func.count(Score.subject_id.distinct()))
            .where(Score.model_version == version)
            .group_by(Score.prediction_time)
            .order_by(Score.prediction_time.desc())
            .limit(1)
        )
        with self.database.engine.connect() as connection:
            row = connection.execute(query).first()
        run = None
        if row is not None:
            local = row[0].replace(tzinfo=UTC).astimezone(ZoneInfo(self.features.timezone))
            run = Run(row[1], local.date())
        self._run = (time.monotonic(), version, run)
        return run

    def _pathways(self, events: pa.Table, at: datetime) -> pa.Table:
        from training.cohort import open_pathways

        return open_pathways(events, at, self.training, self.features)

    def _score(
        self, champion: Champion, events: pa.Table, cohort: pa.Table, version: int
    ) -> list[dict[str, Any]]:
        return score_cohort(
            champion,
            events,
            cohort,
            bands=self.settings.bands,
            data_version=version,
        )

    def _outcome(self, subject: int, found: dict[int, dict[str, Any]]) -> Outcome:
        if subject == 0:
            return Outcome("unknown_person")
        if subject in found:
            return Outcome("scored", found[subject], stored=True)
        return Outcome("not_at_risk")

    def _timelines(self) -> Timelines:
        """The timelines at their newest version: an open table does not follow by itself."""
        written = _written(self.territory)
        if written != self._written:
            self._written, self.timelines = written, _open_timelines(self.territory)
        return self.timelines

    def _champion(self) -> Champion:
        """The champion, loaded again when the registry changed and another version is promoted."""
        if time.monotonic() - self._looked > self.settings.refresh_seconds:
            with self._looking:
                if time.monotonic() - self._looked > self.settings.refresh_seconds:
                    self._look_again()
                    self._looked = time.monotonic()
        return self.champion

    def _look_again(self) -> None:
        from training.registry import load_champion

        if _stamp(self.territory) == self._seen:
            return
        try:
            found = load_champion(self.territory)
        except JalonError as error:
            log.warning("the champion in service stays: %s", error)
            return
        if found.version != self.champion.version:
            log.info("champion: version %s after %s", found.version, self.champion.version)
            self.champion = found
        self._seen = _stamp(self.territory)


def _open_timelines(territory: Territory) -> Timelines:
    from features.timelines import Timelines

    return Timelines.open(territory.home / "timelines", create=False)


def _written(territory: Territory) -> int:
    """When the last commit came to the timelines: their log's folder changes with each."""
    return (territory.home / "timelines" / "_delta_log").stat().st_mtime_ns


def _stamp(territory: Territory) -> tuple[tuple[int, int], ...]:
    """Sizes and times of the registry's files: they change when a model is promoted."""
    files = [territory.home / "mlflow" / name for name in ("mlflow.db", "mlflow.db-wal")]
    return tuple((s.st_mtime_ns, s.st_size) for s in (f.stat() for f in files if f.is_file()))


def _systems(features: FeaturesSettings, service: str) -> list[str]:
    """Systems of identifiers that a service's files hold, its own first; the NIR left out."""
    sources = [source for source in features.sources.values() if source.service == service]
    systems = [source.person.system for source in sources]
    for source in sources:
        systems += [table.person.system for table in source.tables if table.person]
        systems += [system for persons in source.persons for system in persons.keys]
    return [system for system in dict.fromkeys(systems) if system != "nir"]


def _cohort(subjects: Sequence[int], at: datetime) -> pa.Table:
    return pa.table(
        {
            "subject_id": pa.array(subjects, pa.int64()),
            "prediction_time": pa.array([at] * len(subjects), pa.timestamp("us")),
        }
    )
