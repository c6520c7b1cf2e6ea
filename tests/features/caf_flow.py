"""Writes monthly flows of CAF and MSA as their layout has them, for the tests of the reader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

from stdnum.fr import nir

SPELLS = {
    "3": ("SuspensionDroit", "MOTISUSDRORSA", "DDSUSDRORSA"),
    "4": ("SuspensionVersement", "MOTISUSVERSRSA", "DDSUSVERSRSA"),
    "5": ("FinDroit", "MOTICLORSA", "DTCLORSA"),
    "6": ("FinDroit", "MOTICLORSA", "DTCLORSA"),
}


@dataclass(frozen=True)
class Person:
    """One person of a household; activities are (ACT, DDACT, DFACT)."""

    number: int
    role: str = "DEM"
    duties: str | None = "1"
    activities: tuple[tuple[str, str, str], ...] = ()
    named: str = "Zoé Dœuf"
    without_nir: bool = False

    @property
    def nir(self) -> str:
        """The 13 characters that CAF writes."""
        return f"28502{self.number % 90 + 1:02d}{self.number % 1000:03d}{self.number % 991:03d}"

    @property
    def whole(self) -> str:
        """The same with its key."""
        return self.nir + str(nir.calc_check_digits(self.nir))


@dataclass(frozen=True)
class Household:
    """One file number: the state of its right, with its motive and date, and its persons."""

    matricule: str
    state: str | None = "2"
    motive: str | None = None
    since: str | None = None
    persons: tuple[Person, ...] = ()
    demand: str = "01024041921"


def household(one: Household, organisation: tuple[str, str] = ("CAF", "921")) -> str:
    """An `InfosFoyerRSA`."""
    persons = "".join(_person(person, organisation[0] == "MSA") for person in one.persons)
    right = ""
    if one.state is not None:
        spell = ""
        if one.state in SPELLS:
            around, motive, since = SPELLS[one.state]
            spell = f"<{around}>{_tag(motive, one.motive)}{_tag(since, one.since)}</{around}>"
        right = (
            "<PrestationRSA><SituationDossierRSA><EtatDossierRSA>"
            f"{_tag('ETATDOSRSA', one.state)}</EtatDossierRSA>{spell}</SituationDossierRSA>"
            "</PrestationRSA>"
        )
    return (
        "<InfosFoyerRSA><IdentificationRSA><Organisme>"
        f"{_tag('FONORG', organisation[0])}{_tag('NUMORG', organisation[1])}"
        f"{_tag('MATRICULE', one.matricule)}</Organisme><Partenaire>{_tag('IDEPARTE', '092')}"
        f"</Partenaire><DemandeRSA>{_tag('DTDEMRSA', '2018-08-06')}"
        f"{_tag('NUMDEMRSA', one.demand)}</DemandeRSA></IdentificationRSA>"
        f"{persons}{right}</InfosFoyerRSA>\n"
    )


def parts(
    households: Iterable[Household],
    month: str = "2024-02-29",
    made: str = "2024-03-05",
    *,
    kind: str = "M",
    organisation: tuple[str, str] = ("CAF", "921"),
    encoding: str = "windows-1252",
) -> Iterator[bytes]:
    """A flow, piece by piece."""
    yield (
        f'<?xml version="1.0" encoding="{encoding}"?>\n<Racine '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:noNamespaceSchemaLocation="vrsb0801.xsd">\n<IdentificationFlux>'
        f"{_tag('APPLIEME', 'CRI')}{_tag('TYPEFLUX', kind)}{_tag('NATFLUX', 'D')}"
        f"{_tag('DTCREAFLUX', made)}{_tag('HEUCREAFLUX', '01:18:36.0000')}{_tag('DTREF', month)}"
        "</IdentificationFlux>\n"
    ).encode(encoding)
    for one in households:
        yield household(one, organisation).encode(encoding)
    last = _tag("NBTOTDOSRSATRANSMANO", "00000000")
    yield f"<TransmissionFlux>{last}</TransmissionFlux></Racine>\n".encode(encoding)


def flow(
    households: Iterable[Household],
    month: str = "2024-02-29",
    made: str = "2024-03-05",
    *,
    kind: str = "M",
    organisation: tuple[str, str] = ("CAF", "921"),
    encoding: str = "windows-1252",
) -> bytes:
    """A whole flow."""
    return b"".join(
        parts(households, month, made, kind=kind, organisation=organisation, encoding=encoding)
    )


def _person(one: Person, whole: bool) -> str:
    number = "" if one.without_nir else _tag("NIR", one.whole if whole else one.nir)
    duties = ""
    if one.duties is not None:
        top = _tag("TOPPERSDRODEVORSA", one.duties)
        duties = f"<MontantCalculDroitRSAPersonne>{top}</MontantCalculDroitRSAPersonne>"
    activities = "".join(
        f"<Activite>{_tag('REG', 'AG')}{_tag('ACT', act)}{_tag('DDACT', first)}"
        f"{_tag('DFACT', last) if last else ''}</Activite>"
        for act, first, last in one.activities
    )
    return (
        f"<Personne><Identification>{_tag('NOM', one.named)}{_tag('DTNAI', '1985-02-01')}{number}"
        "</Identification>"
        f"<Prestations>{_tag('NATPREST', 'PFA')}{_tag('ROLEPERS', 'AUT')}</Prestations>"
        f"<Prestations>{_tag('NATPREST', 'RSA')}{_tag('ROLEPERS', one.role)}</Prestations>"
        f"{duties}{activities}</Personne>"
    )


def _tag(name: str, value: str | None) -> str:
    return "" if value is None else f"<{name}>{escape(value)}</{name}>"
