"""The rights of a person where scores and alerts are kept: what is held, erased, or not made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock, Timeout
from sqlalchemy import MetaData, Table, bindparam, delete, func, or_, select, text, update
from sqlalchemy.sql import ColumnElement

from features import erasure, retention
from features.errors import DataError, JalonError
from features.event_order import Longs
from features.identity import Vault
from features.identity.audit import note
from features.identity.settling import settle
from features.ingest import alone
from features.rights import Held, held_of
from features.settings import FeaturesSettings
from features.territory import Territory
from features.timelines import Timelines
from serving.database import Database
from serving.settings import ServingSettings

if TYPE_CHECKING:
    from features.peers import PeerGroups

__all__ = [
    "count_rows",
    "erase_person",
    "erase_stored",
    "gather",
    "maintain_territory",
    "opened_vault",
    "rename_stored",
    "renaming",
    "rows_about",
    "without_objections",
]


def without_objections(vault: Vault, cohort: pa.Table) -> pa.Table:
    """The people of a cohort who do not object to being scored.

    Args:
        vault: Keeps the objections.
        cohort: With a column subject_id, int64.
    """
    objecting = pa.array(vault.objected(), pa.int64())
    if not len(objecting):
        return cohort
    return cohort.filter(pc.invert(pc.is_in(cohort["subject_id"], value_set=objecting)))


def rows_about(database: Database, subjects: Sequence[int]) -> dict[str, list[dict[str, Any]]]:
    """Every row of the state database about some persons, by table.

    A table is about persons that has a column `subject_id`, or that refers to a row of such a
    table: an alert, and each time it was sent.

    Args:
        database: The state database.
        subjects: Their pseudonyms.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    with database.engine.connect() as connection:
        for table, mine in _about(database, subjects):
            rows = connection.execute(select(table).where(mine)).mappings()
            found[table.name] = [dict(row) for row in rows]
    return found


def count_rows(database: Database, subjects: Sequence[int]) -> dict[str, int]:
    """How many rows :func:`rows_about` gives, by table."""
    with database.engine.connect() as connection:
        return {
            table.name: int(
                connection.execute(select(func.count()).select_from(table).where(mine)).scalar_one()
            )
            for table, mine in _about(database, subjects)
        }


def erase_stored(database: Database, subjects: Longs) -> dict[str, int]:
    """Delete every row about some persons, and what the database's files still hold of it.

    Args:
        database: The state database.
        subjects: int64, their pseudonyms.

    Returns:
        Rows that went, by table.
    """
    gone: dict[str, int] = {}
    everyone = subjects.tolist()
    sqlite = database.engine.dialect.name == "sqlite"
    for start in range(0, len(everyone), 500):
        tables = list(_about(database, everyone[start : start + 500]))
        with database.engine.begin() as connection:
            if sqlite:
                connection.execute(text("PRAGMA secure_delete=ON"))
            # Rows that refer to others go before them.
            for table, mine in reversed(tables):
                done = connection.execute(delete(table).where(mine))
                gone[table.name] = gone.get(table.name, 0) + done.rowcount
    _vacuum(database)
    return gone


def rename_stored(database: Database, names: Mapping[int, int]) -> int:
    """Give every row about persons their new pseudonyms, in one transaction.

    Args:
        database: The state database.
        names: Former pseudonyms to new ones; done twice, the second time changes nothing.

    Returns:
        Rows that have another pseudonym.
    """
    renamed = 0
    with database.engine.begin() as connection:
        if database.engine.dialect.name == "sqlite":
            connection.execute(text("PRAGMA secure_delete=ON"))
        for table, _ in _about(database, []):
            if "subject_id" not in table.columns:
                continue
            column = table.c.subject_id
            held = connection.execute(select(column, func.count()).group_by(column)).all()
            changes = [{"former": one, "new": names[one]} for one, _ in held if one in names]
            renamed += sum(rows for one, rows in held if one in names)
            if changes:
                change = update(table).where(column == bindparam("former"))
                connection.execute(change.values(subject_id=bindparam("new")), changes)
    _vacuum(database)
    return renamed


@contextmanager
def renaming(territory: Territory) -> Iterator[Callable[[Mapping[int, int]], int]]:
    """What gives rows of the state database new pseudonyms, training kept out meanwhile.

    Args:
        territory: An opened territory.

    Raises:
        DataError: a training is running.
    """
    with _no_training(territory):
        database = Database.open(territory, territory.section("serving", ServingSettings))
        try:
            yield partial(rename_stored, database)
        finally:
            database.close()


def _vacuum(database: Database) -> None:
    """Leave nothing of what was deleted or changed in the database's files."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if database.engine.dialect.name == "sqlite":
            connection.execute(text("VACUUM"))
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        else:
            for table, _ in _about(database, []):
                connection.execute(text(f'VACUUM "{table.name}"'))


def _about(
    database: Database, subjects: Sequence[int]
) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Tables with rows about persons and the condition of these rows; referring ones come later."""
    # Of the database itself, so that a table of a part that is not loaded here is not forgotten.
    found = MetaData()
    found.reflect(database.engine)
    known: dict[str, ColumnElement[bool]] = {}
    for table in found.sorted_tables:
        ways: list[ColumnElement[bool]] = []
        if "subject_id" in table.columns:
            ways.append(table.c.subject_id.in_(subjects))
        for key in table.foreign_keys:
            of = key.column.table
            if of.name in known and of is not table:
                ways.append(key.parent.in_(select(key.column).where(known[of.name])))
        if ways:
            known[table.name] = or_(*ways)
            yield table, known[table.name]


@contextmanager
def _opened(territory: Territory) -> Iterator[tuple[FeaturesSettings, Vault, Timelines, Database]]:
    """The work folder held alone, ingest and training kept out; its vault, timelines and state.

    Raises:
        DataError: nothing was ingested yet; or an ingest or a training is running.
    """
    home = territory.home
    settings = territory.section("features", FeaturesSettings)
    if not (home / "identity" / "vault.sqlite").exists():
        raise DataError(
            f"opening the vault of '{territory.name}'",
            expected=f"a vault in '{home / 'identity'}'",
            got="none",
            hint=f"Run `jalon ingest {territory.called}` first.",
        )
    with alone(home), _no_training(territory):
        vault = Vault.open(home / "identity")
        try:
            timelines = Timelines.open(home / "timelines")
            database = Database.open(territory, territory.section("serving", ServingSettings))
            try:
                yield settings, vault, timelines, database
            finally:
                database.close()
        finally:
            vault.close()


@contextmanager
def _no_training(territory: Territory) -> Iterator[None]:
    lock = FileLock(territory.home / "training.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise DataError(
            f"opening the work folder of '{territory.name}'",
            expected="no training and no build of features",
            got="one that is running",
            hint="Wait until it ends.",
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def opened_vault(territory: Territory) -> Iterator[Vault]:
    """The vault of a territory, held alone, timelines brought to it.

    Args:
        territory: An opened territory.

    Raises:
        DataError: nothing was ingested yet, or an ingest is running.
    """
    with _opened(territory) as (_, vault, timelines, _):
        settle(vault, timelines)
        yield vault


def gather(territory: Territory, person: int, at: datetime, *, features: bool = False) -> Held:
    """Everything held of a person, for them to see.

    Args:
        territory: An opened territory.
        person: Their present pseudonym.
        at: Instant that features are told at, UTC without zone.
        features: Compute the features: for an export, which the audit then has a line of.

    Raises:
        DataError: a pseudonym that the vault does not know.
    """
    with _opened(territory) as (settings, vault, timelines, database):
        settle(vault, timelines)
        known = erasure.known_as(vault, [person])
        found = held_of(
            territory.home, settings, vault, timelines, person, at,
            others=rows_about(database, known.subjects),
            features=features,
            peers=_peers(territory) if features else None,
        )  # fmt: skip
        note(vault, "export" if features else "show", persons=1)
        return found


def _peers(territory: Territory) -> PeerGroups | None:
    """The groups that people are compared in when they are scored; None without a champion."""
    from training.registry import load_champion

    try:
        champion = load_champion(territory)
    except JalonError:
        return None
    from features.definitions import build_catalogue

    catalogue = build_catalogue(territory.section("features", FeaturesSettings))
    return champion.peers if champion.catalogue.hash == catalogue.hash else None


def erase_person(
    territory: Territory,
    person: int,
    *,
    progress: Callable[[str, float], None] = lambda step, share: None,
) -> erasure.Erased:
    """Erase a person at their request; an erasure that was interrupted is finished first.

    Args:
        territory: An opened territory.
        person: Their present pseudonym.
        progress: Told the step and the share done.

    Raises:
        DataError: a pseudonym that the vault does not know, and nothing was left to finish.
    """
    with _opened(territory) as (settings, vault, timelines, database):
        elsewhere = [partial(erase_stored, database)]
        steps = iter((0.05, 0.1, 0.2, 0.7, 0.9))

        def tell(step: str) -> None:
            progress(step, next(steps, 0.95))

        finished = erasure.finish(territory.home, settings, vault, elsewhere=elsewhere)
        if finished.persons and not vault.identifiers(person):
            return finished
        timelines.refresh()
        settle(vault, timelines)
        return erasure.erase(
            territory.home, settings, vault, [person], "request", elsewhere=elsewhere, tell=tell
        )


def maintain_territory(
    territory: Territory,
    at: date | None = None,
    *,
    dry_run: bool = False,
    progress: Callable[[str, float], None] = lambda step, share: None,
) -> retention.Upkeep:
    """Maintain a territory's work folder; see :func:`features.retention.maintain`.

    Args:
        territory: An opened territory.
        at: Local day that the last contact is counted back from; by default the end of
            observation once it is past, or today.
        dry_run: Only count.
        progress: Told the step and the share done.

    Raises:
        DataError: nothing was ingested yet, something is running, or a day in the future.
    """
    with _opened(territory) as (settings, _, _, database):
        today = datetime.now(UTC).astimezone(ZoneInfo(settings.timezone)).date()
        return retention.maintain(
            territory.home,
            settings,
            at or min(today, settings.observation.until),
            dry_run=dry_run,
            elsewhere=[partial(erase_stored, database)],
            progress=progress,
        )
