"""The layout of the monthly flow of CAF and MSA (schema vrsb0801): its head, and its facts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple, NoReturn
from xml.etree.ElementTree import Element

from stdnum.fr import nir

from features.errors import DataError
from features.sources.files import SourceFile
from features.sources.xml_records import records, tag

__all__ = ["ABOUT", "Fact", "Head", "facts"]

WHO = ("FONORG", "NUMORG", "MATRICULE", "NUMDEMRSA", "NIR", "ROLEPERS", "ROLE_DOSSIER")
CIVIL = ("NOM", "PRENOM", "DTNAI", "NOMCOMNAI")
SPELLS = {
    "3": ("SuspensionDroit", "MOTISUSDRORSA", "DDSUSDRORSA"),
    "4": ("SuspensionVersement", "MOTISUSVERSRSA", "DDSUSVERSRSA"),
    "5": ("FinDroit", "MOTICLORSA", "DTCLORSA"),
}
"""By state of the right, where its motive and the date since which it holds are told."""

CLOSED = {"6": "5"}
"""State 6 is a right closed in an earlier month that has amounts in this one: it is state 5."""

ADULTS = ("DEM", "CJT")
"""Roles that one person at most has in a household."""

ABOUT = (
    *WHO,
    "DTDEMRSA",
    "ETATDOSRSA",
    *(name for _, *names in SPELLS.values() for name in names),
    "TOPPERSDRODEVORSA",
    "ACT",
    "DDACT",
    "DFACT",
    *CIVIL,
)
"""The columns that the file itself tells of a fact."""

Row = dict[str, str | None]


class Fact(NamedTuple):
    """One fact about one person.

    Attributes:
        person: Tells the person apart in the file; empty for a household in which none is named.
        nature: `droit`, `devoirs`, `activite` or `fin_activite`.
        name: Nature, value and its own date; ends with a colon where it has none.
        since: The date since which it holds, or None.
        motive: Of a suspension or a closing.
        row: What the file tells: :data:`ABOUT`.
    """

    person: str
    nature: str
    name: str
    since: str | None
    motive: str | None
    row: Row


@dataclass(frozen=True)
class Head:
    """What a file says of itself.

    Attributes:
        month: `DTREF`, the date whose state it tells.
        day: `DTCREAFLUX`, when it was made.
        made: The same with the hour, where there is one; without, it is known when the day ends.
        organisation: `FONORG` and `NUMORG` of its first household.
    """

    month: str
    day: str
    made: str
    organisation: tuple[str, ...]

    @property
    def order(self) -> str:
        """`made`, so that a day without an hour comes after every hour of it."""
        return self.made if self.made != self.day else f"{self.day}~"

    @classmethod
    def of(cls, file: SourceFile, limit: int) -> Head:
        """Read it from the beginning of a file.

        Args:
            file: A monthly flow.
            limit: Bytes of one household at most.

        Raises:
            DataError: no XML, no full monthly flow, or dates that are none.
        """
        found: Row = {}
        organisation: tuple[str, ...] = ()
        with closing(records(file, "Racine", deepest=1, limit=limit)) as elements:
            for element, _ in elements:
                if tag(element) == "IdentificationFlux":
                    found = _texts(element)
                elif tag(element) == "InfosFoyerRSA":
                    held = _texts(element.find("IdentificationRSA/Organisme"))
                    organisation = (held.get("FONORG") or "", held.get("NUMORG") or "")
                    break
        if found.get("TYPEFLUX") != "M":
            _refuse(
                file,
                "a full monthly flow (TYPEFLUX M)",
                "another kind" if found.get("TYPEFLUX") else "none named",
                "Whoever is not in a partial flow would be taken for gone: leave it out of 'path'.",
            )
        month, day = found.get("DTREF") or "", found.get("DTCREAFLUX") or ""
        for name, value in (("DTREF", month), ("DTCREAFLUX", day)):
            if not _dated(value):
                _refuse(file, f"{name} as 2024-01-31", "another text", "Ask for the flow again.")
        hour = found.get("HEUCREAFLUX")
        return cls(month, day, f"{day}T{hour}" if hour else day, organisation)


def facts(file: SourceFile, limit: int) -> Iterator[Fact]:
    """Every fact of a file, in its order.

    Args:
        file: A monthly flow.
        limit: Bytes of one household at most.

    Raises:
        DataError: as :func:`features.sources.xml_records.records`.
    """
    with closing(records(file, "Racine", deepest=1, limit=limit)) as elements:
        for element, _ in elements:
            if tag(element) == "InfosFoyerRSA":
                yield from _household(element)


def _household(household: Element) -> Iterator[Fact]:
    file = _texts(household.find("IdentificationRSA/Organisme"))
    demand = _texts(household.find("IdentificationRSA/DemandeRSA"))
    situation = household.find("PrestationRSA/SituationDossierRSA")
    common: Row = {
        **{name: file.get(name) for name in ("FONORG", "NUMORG", "MATRICULE")},
        **{name: demand.get(name) for name in ("NUMDEMRSA", "DTDEMRSA")},
        **_right(situation),
    }
    persons = household.findall("Personne")
    if not persons:
        yield Fact("", "droit", "", None, None, common)
    roles: dict[str, int] = {}
    for person in persons:
        row = common | _person(person, common)
        role = row["ROLEPERS"] or ""
        roles[role] = roles.get(role, 0) + 1
        # A number is kept when the role changes; without one, the place in the role tells apart.
        known = (*(row[name] or "" for name in WHO[:3]), row["NIR"] or f"{role}#{roles[role]}")
        yield from _of_person("\x1f".join(known), person, row)


def _right(situation: Element | None) -> Row:
    row: Row = {"ETATDOSRSA": None}
    if situation is not None:
        row["ETATDOSRSA"] = _texts(situation.find("EtatDossierRSA")).get("ETATDOSRSA")
    for where, motive, since in SPELLS.values():
        spells = [_texts(one) for one in situation.findall(where)] if situation is not None else []
        last = max(spells, key=lambda one: one.get(since) or "", default={})
        row |= {motive: last.get(motive), since: last.get(since)}
    return row


def _person(person: Element, common: Row) -> Row:
    identity = _texts(person.find("Identification"))
    benefits = [_texts(one) for one in person.findall("Prestations")]
    ours = [one for one in benefits if one.get("NATPREST") == "RSA"] or benefits
    role = ours[0].get("ROLEPERS") if ours else None
    place = [common["FONORG"], common["NUMORG"], common["MATRICULE"], role]
    return {
        "NIR": _completed(identity.get("NIR")),
        "ROLEPERS": role,
        "ROLE_DOSSIER": "-".join(map(str, place)) if role in ADULTS and all(place) else None,
        **{name: identity.get(name) for name in CIVIL},
        "TOPPERSDRODEVORSA": _texts(person.find("MontantCalculDroitRSAPersonne")).get(
            "TOPPERSDRODEVORSA"
        ),
        **dict.fromkeys(("ACT", "DDACT", "DFACT")),
    }


def _of_person(known: str, person: Element, row: Row) -> Iterator[Fact]:
    said = row["ETATDOSRSA"] or ""
    state = CLOSED.get(said, said)
    _, *names = SPELLS.get(state, ("",))
    motive, since = (row[name] for name in names) if names else (None, None)
    yield Fact(known, "droit", f"droit:{state}:{since or ''}", since, motive, row)
    if duties := row["TOPPERSDRODEVORSA"]:
        yield Fact(known, "devoirs", f"devoirs:{duties}:", None, None, row)
    for element in person.findall("Activite"):
        activity = _texts(element)
        kind, first, last = (activity.get(name) for name in ("ACT", "DDACT", "DFACT"))
        here = row | {"ACT": kind, "DDACT": first, "DFACT": last}
        name = f"{kind or ''}:{first or ''}"
        yield Fact(known, "activite", f"activite:{name}", first, None, here)
        if last:
            yield Fact(known, "fin_activite", f"fin_activite:{name}", last, None, here)


def _texts(element: Element | None) -> Row:
    """The texts of an element's children; null where they are blank."""
    children = () if element is None else element
    return {child.tag: (child.text or "").strip() or None for child in children}


def _completed(number: str | None) -> str | None:
    """A NIR with its check key: CAF writes its 13 characters alone, MSA and others all 15."""
    if number is None or len(number) != 13 or not (number[:5] + number[7:]).isdigit():
        return number
    try:
        return number + str(nir.calc_check_digits(number))
    except ValueError:
        return number


def _dated(value: str) -> bool:
    try:
        return len(value) == 10 and bool(date.fromisoformat(value))
    except ValueError:
        return False


def _refuse(file: SourceFile, expected: str, got: str, hint: str) -> NoReturn:
    raise DataError(f"reading '{file.name}' as caf", expected=expected, got=got, hint=hint)
