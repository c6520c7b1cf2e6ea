"""The erasure of persons: noted before it begins, safe to interrupt, finished by doing it again."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from features.aside_lines import drop_lines, drop_rows
from features.erased_events import erase_events
from features.erased_matrices import STORES, erase_matrices, erase_rows
from features.errors import DataError
from features.event_order import Longs
from features.identity import Vault
from features.identity.audit import AUDIT, note
from features.identity.erased import drop_records
from features.set_aside import PURPOSE
from features.settings import FeaturesSettings
from features.timelines import Timelines

__all__ = ["Elsewhere", "Erased", "Known", "erase", "finish", "known_as", "unfinished"]

_JOURNAL = "erasure.json"
_ABOUT = b"erasure"

Elsewhere = Callable[[Longs], Mapping[str, int]]
"""Deletes what another part holds of some persons, int64, and says how many rows of what."""
Step = Callable[[str], None]


@dataclass(frozen=True)
class Erased:
    """What an erasure took away.

    Attributes:
        persons: How many.
        rows: By what they were: events, rows set aside, matrices, and what other parts held.
    """

    persons: int
    rows: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"persons": self.persons, **self.rows}


@dataclass(frozen=True)
class Known:
    """The pseudonyms that some persons have or had.

    Attributes:
        subjects: Whole persons: the present pseudonym, and former ones that are nobody else's.
        issued: Of their very identifiers, by which events and rows set aside came; one of them may
            be the pseudonym of another person, whom an identifier was taken out of.
    """

    subjects: list[int]
    issued: list[int]


def known_as(vault: Vault, persons: Iterable[int]) -> Known:
    """Every pseudonym that stands, or stood, for some persons.

    Args:
        vault: Knows them.
        persons: Their present pseudonyms; those it does not know are passed over.
    """
    subjects: set[int] = set()
    issued: set[int] = set()
    for person in persons:
        held = vault.identifiers(person)
        if not held:
            continue
        own = {one for _, one in held}
        query = (
            "SELECT before, after FROM moves JOIN identifiers USING (digest) WHERE subject_id = ?"
        )
        former = own.union(*vault.rows(query, person)) - {person}
        subjects |= {person, *(one for one in former if not vault.identifiers(one))}
        issued |= own
    return Known(sorted(subjects), sorted(issued))


def unfinished(home: Path) -> bool:
    """Whether an erasure in a work folder was begun and interrupted."""
    return (home / "identity" / _JOURNAL).exists()


def erase(
    home: Path,
    settings: FeaturesSettings,
    vault: Vault,
    persons: Sequence[int],
    why: str,
    *,
    elsewhere: Sequence[Elsewhere] = (),
    tell: Step = lambda step: None,
) -> Erased:
    """Delete everything that a work folder holds of some persons.

    Vault, events with all their versions, stored features, rows set aside, what other parts hold.
    What stays is a keyed hash of a keyed hash of each identifier, by which an export that brings
    the person again is known and its rows dropped, and a line of the audit that says how many.
    Models that learned from the persons stay until they are trained again; so do the exports,
    which are the services'.

    The caller holds the work folder alone, and has brought timelines to what the vault says.
    Interrupted at any moment, :func:`finish` goes on.

    Args:
        home: The work folder.
        settings: Of the territory.
        vault: Of the work folder.
        persons: Present pseudonyms.
        why: `request` or `retention`, said in the audit.
        elsewhere: What deletes the rest; called before anything of the timelines goes.
        tell: Told each step.

    Raises:
        DataError: a pseudonym that the vault does not know, or another erasure was interrupted.
    """
    if unfinished(home):
        raise DataError(
            "erasing a person",
            expected="no erasure that was interrupted",
            got="one",
            hint="Run `jalon maintain TERRITORY`, which finishes it.",
        )
    vault.check_known(*persons)
    if not persons:
        return Erased(0)
    known = known_as(vault, persons)
    said = {"persons": list(persons), "subjects": known.subjects, "issued": known.issued}
    journal = {
        "id": secrets.token_hex(8),
        "why": why,
        # Pseudonyms, not identities; sealed all the same: a copy of this file tells nothing.
        "sealed": vault.keys.sealed(json.dumps(said).encode(), _ABOUT).hex(),
    }
    _write(home / "identity" / _JOURNAL, json.dumps(journal))
    return finish(home, settings, vault, elsewhere=elsewhere, tell=tell)


def finish(
    home: Path,
    settings: FeaturesSettings,
    vault: Vault,
    *,
    elsewhere: Sequence[Elsewhere] = (),
    tell: Step = lambda step: None,
) -> Erased:
    """Go on with the erasure that was interrupted, to its end; every step may be done twice.

    Args:
        home: The work folder.
        settings: Of the territory.
        vault: Of the work folder.
        elsewhere: As for :func:`erase`.
        tell: Told each step.

    Returns:
        What this call took away; nothing when no erasure was interrupted.

    Raises:
        DataError: the vault's key was changed in between.
    """
    file = home / "identity" / _JOURNAL
    if not file.exists():
        return Erased(0)
    journal = json.loads(file.read_text(encoding="utf-8"))
    said = json.loads(vault.keys.unsealed(bytes.fromhex(journal["sealed"]), _ABOUT))
    subjects = np.array(said["subjects"], np.int64)
    issued = np.array(said["issued"], np.int64)
    rows: dict[str, int] = {}
    tell("vault")
    # First, so that no ingest in between takes the person for a new one.
    for person in said["persons"]:
        if vault.identifiers(person):
            vault.forget(person)
    drop_records(vault)
    tell("scores")
    for one in elsewhere:
        rows |= one(subjects)
    tell("events")
    if (home / "timelines").exists():
        rows["events"] = erase_events(Timelines.open(home / "timelines"), subjects, issued)
    tell("rows set aside")
    rows["set_aside"] = _erase_aside(home / "set-aside", settings, vault, issued)
    tell("features")
    for store, what in zip(STORES, ("matrices", "sparse_matrices"), strict=True):
        rows[what] = erase_matrices(home / store, subjects)
    rows["other_rows"] = erase_rows(home / "mlflow", subjects)
    if journal["id"] not in _audit(home):
        note(
            vault, "erase", erasure=journal["id"], why=journal["why"], persons=len(said["persons"])
        )
    file.unlink()
    return Erased(len(said["persons"]), rows)


def _erase_aside(folder: Path, settings: FeaturesSettings, vault: Vault, issued: Longs) -> int:
    for left in folder.glob("*.unfinished"):
        left.unlink()
    gone = drop_rows(folder, [str(one) for one in issued.tolist()])
    secret = vault.secret_for(PURPOSE)
    return gone + drop_lines(folder, settings, secret, vault.was_erased)


def _audit(home: Path) -> str:
    file = home / "identity" / AUDIT
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _write(file: Path, text: str) -> None:
    part = file.with_suffix(".unfinished")
    handle = os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, file)
