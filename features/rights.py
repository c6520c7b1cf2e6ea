"""What a work folder holds of one person, told to the person; and the person's objection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from features.aside_files import rows_of_persons
from features.aside_lines import lines_of
from features.catalogue import Catalogue
from features.errors import DataError
from features.events import WITHDRAWN
from features.facts import LANGUAGES, sentence
from features.identity import Vault
from features.identity.audit import note
from features.identity.records import load
from features.ledger import read_again
from features.set_aside import PURPOSE
from features.settings import FeaturesSettings
from features.superseded import NEVER
from features.vocabulary import Vocabulary

if TYPE_CHECKING:
    from features.peers import PeerGroups
    from features.timelines import Timelines

__all__ = ["Held", "features_of", "held_of", "object_to", "objects", "readmit"]

_NEVER_SEEN = int(np.iinfo(np.int32).min)


@dataclass(frozen=True)
class Held:
    """Everything held of a person, as plain values, for pages, JSON and CSV.

    Labels and sentences are by language. Instants are local, ISO 8601 with their offset.

    Attributes:
        person: The pseudonym.
        at: Instant that features are told at.
        identifiers: The systems that know the person; identifiers themselves are not kept.
        identity: Names, birth dates and the like, as sources wrote them.
        corrections: Merges and splits that concerned the person.
        objects_since: When the person objected; None where they do not.
        events: Every version of every event.
        features: Name, value, theme and sentence.
        set_aside: Rows that could not be read, with their content.
        others: Rows of other parts by table: scores, and whom an alert was sent to.
    """

    person: int
    at: str
    identifiers: list[dict[str, Any]]
    identity: list[dict[str, str]]
    corrections: list[dict[str, Any]]
    objects_since: str | None
    events: list[dict[str, Any]]
    features: list[dict[str, Any]] = field(default_factory=list)
    set_aside: list[dict[str, Any]] = field(default_factory=list)
    others: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dict(self.__dict__)

    def summary(self) -> dict[str, Any]:
        """How much of what, without what identifies."""
        return {
            "person": self.person,
            "systems": sorted({one["system"] for one in self.identifiers}),
            "identity_records": len(self.identity),
            "events": len(self.events),
            "sources": sorted({one["source"] for one in self.events}),
            "set_aside": len(self.set_aside),
            "objects_since": self.objects_since,
            **{name: len(rows) for name, rows in self.others.items()},
        }


def held_of(
    home: Path,
    settings: FeaturesSettings,
    vault: Vault,
    timelines: Timelines,
    person: int,
    at: datetime,
    *,
    others: Mapping[str, list[dict[str, Any]]] | None = None,
    features: bool = False,
    peers: PeerGroups | None = None,
) -> Held:
    """Gather everything held of a person.

    Args:
        home: The work folder.
        settings: Of the territory.
        vault: Of the work folder.
        timelines: Of the work folder.
        person: Their present pseudonym.
        at: Instant that features are told at, UTC without zone.
        others: What other parts hold of the person, by table.
        features: Compute the features, which takes some seconds the first time.
        peers: Groups that the person is compared in; without them such features are left out.

    Raises:
        DataError: a pseudonym that the vault does not know.
    """
    vault.check_known(person)
    zone = ZoneInfo(settings.timezone)
    identifiers = vault.identifiers(person)
    objections = vault.rows(
        "SELECT min(at) FROM objections JOIN identifiers USING (digest) WHERE subject_id = ?",
        person,
    )
    acts = [act for act in vault.acts() if person in (act.kept, act.other) and act.kind != "undo"]
    issued = {str(own) for _, own in identifiers}
    secret = vault.secret_for(PURPOSE)

    def mine(system: str, values: Sequence[str]) -> list[bool]:
        return [bool(one) for one in vault.resolve(system, values) == person]

    aside = home / "set-aside"
    rows = [*rows_of_persons(aside, issued, secret), *lines_of(aside, settings, secret, mine)]
    return Held(
        person,
        str(_local(at, zone)),
        [{"system": system, "pseudonym": own} for system, own in identifiers],
        [record.said for record in load(vault, person)],
        [{"kind": act.kind, "why": act.why, "at": act.at} for act in acts],
        objections[0][0],
        _events(timelines, person, settings, zone),
        features_of(timelines, person, at, settings, peers) if features else [],
        [{name: row[name] for name in ("source", "table", "file", "row", "reason", "raw")}
         for row in rows],
        dict(others or {}),
    )  # fmt: skip


def features_of(
    timelines: Timelines,
    person: int,
    at: datetime,
    settings: FeaturesSettings,
    peers: PeerGroups | None = None,
) -> list[dict[str, Any]]:
    """The features of a person at an instant, each with its sentence.

    Args:
        timelines: The table.
        person: Their pseudonym.
        at: UTC without zone.
        settings: Of the territory.
        peers: Groups to compare the person in; without them such features are left out: compared
            with nobody, a rank says nothing.
    """
    from features.definitions import build_catalogue
    from features.matrix import compute_matrix

    catalogue = build_catalogue(settings)
    if peers is None:
        own = tuple(one for one in catalogue.features if not one.among_peers)
        catalogue = Catalogue(own, catalogue.timezone, catalogue.service_of)
    cohort = pa.table(
        {
            "subject_id": pa.array([person], pa.int64()),
            "prediction_time": pa.array([at], pa.timestamp("us")),
        }
    )
    matrix = compute_matrix(timelines, cohort, catalogue, peers=peers)
    vocabulary = Vocabulary.load(settings.vocabulary)
    place = {group: number for number, group in enumerate(catalogue.groups)}
    told = []
    for number, feature in enumerate(catalogue.features):
        value = float(matrix.values[0, number])
        day = int(matrix.last_seen[0, place[feature.group]])
        last = None if day == _NEVER_SEEN else day
        told.append(
            {
                "feature": feature.name,
                "value": None if np.isnan(value) else value,
                "theme": {one: vocabulary.theme_label(feature.theme, one) for one in LANGUAGES},
                "sentence": {one: sentence(feature, value, last, one) for one in LANGUAGES},
            }
        )
    return told


def objects(vault: Vault, persons: np.ndarray[Any, np.dtype[np.int64]]) -> Any:
    """Who of some persons objects to being scored; bool, one per person.

    Args:
        vault: Keeps the objections.
        persons: int64, present pseudonyms.
    """
    return np.isin(persons, vault.objected())


def object_to(vault: Vault, person: int, *, stands: bool = True) -> bool:
    """Note an objection, or take it back; the audit has a line without the person.

    Args:
        vault: Keeps it.
        person: The present pseudonym.
        stands: False takes it back.

    Returns:
        Whether anything changed.

    Raises:
        DataError: a pseudonym that the vault does not know.
    """
    vault.check_known(person)
    if (person in vault.objected()) == stands:
        return False
    vault.object(person, stands=stands)
    note(vault, "object" if stands else "object no longer", persons=1)
    return True


def readmit(
    home: Path, settings: FeaturesSettings, vault: Vault, system: str, identifier: str
) -> int:
    """Let an erased person's identifier be met again, with the pseudonym it had.

    For one who comes back: after data were kept no longer than allowed, or on their own request.
    Each identifier by which services know them is to be given once, before the next ingest. That
    ingest reads again, from the first row, what sources sent that know persons by such identifiers:
    rows of the person were dropped before. What is no longer among the exports does not come back.

    Args:
        home: The work folder.
        settings: Of the territory.
        vault: Keeps what is left of erased identifiers.
        system: Whose identifier it is.
        identifier: As the service writes it.

    Returns:
        How many files and database tables are to be read again.

    Raises:
        DataError: none of an erased person.
    """
    if not vault.was_erased(system, [identifier])[0]:
        raise DataError(
            f"readmitting an identifier of '{system}'",
            expected="one of a person who was erased",
            got="another",
            hint="Check the name of the system, and the identifier.",
        )
    [text] = vault.texts(system, [identifier])
    sources = [
        name
        for name, source in settings.sources.items()
        if any((table.person or source.person).system == system for table in source.tables)
    ]
    # First: interrupted in between, files are read once in vain, and the person may be readmitted.
    again = read_again(home / "ledger", sources)
    with vault.transaction() as connection:
        connection.executemany(
            "DELETE FROM erased WHERE tombstone = ?",
            [(one,) for one in vault.keys.tombstones(text or b"")],
        )
    note(vault, "readmit", persons=1)
    return again


def _events(
    timelines: Timelines, person: int, settings: FeaturesSettings, zone: ZoneInfo
) -> list[dict[str, Any]]:
    vocabulary = Vocabulary.load(settings.vocabulary)
    rows = timelines.read(np.array([person], np.int64), superseded=True).to_pylist()
    told = []
    for row in rows:
        code: str = row["code"]
        known = code in vocabulary
        label = {one: vocabulary.label(code, one) if known else code for one in LANGUAGES}
        replaced = row["superseded_at"]
        source = row["source"]
        told.append(
            {
                "time": _local(row["time"], zone),
                "end_time": _local(row["end_time"], zone),
                "code": code,
                "label": label,
                "value": row["numeric_value"],
                "unit": vocabulary[code].unit if known else None,
                "text": row["text_value"],
                "reference": row["reference"],
                "source": source,
                "service": settings.service_of(source) if source in settings.sources else source,
                "source_code": row["source_code"],
                "recorded_at": _local(row["recorded_at"], zone),
                "replaced_at": None if replaced == _NEVER else _local(replaced, zone),
                "withdrawn": code == WITHDRAWN,
                "event_id": row["event_id"],
            }
        )
    return told


_NEVER: datetime = NEVER.astype(object)


def _local(instant: datetime | None, zone: ZoneInfo) -> str | None:
    if instant is None:
        return None
    return instant.replace(tzinfo=UTC).astimezone(zone).isoformat()
