"""The monthly flow of CAF and MSA on RSA: what changed since the month before, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from features.settings import ReaderOptions
from features.sources import Aside, Batch, SourceFile
from features.sources.caf_layout import ABOUT, Fact, Head, facts
from features.sources.xml_series import Snapshot, Stamp, in_series

__all__ = ["CafReader"]

ROWS = 50_000

NAMES = ("NATURE", "FAIT", "MOTIF", "DTEFFET", "DTREF", "DTCREAFLUX", "CREAFLUX", *ABOUT)

STAYS = ("FONORG", "NUMORG", "MATRICULE", "NIR")
"""What is known of a person who is no longer in the file, besides the role."""


class CafReader:
    """Facts of a monthly file that were not in the file before it, as text columns.

    One row is one fact about one person of one file number in one month (`DTREF`): the state of the
    right (`NATURE` is `droit`), whether rights and duties apply (`devoirs`), the beginning and the
    end of an activity (`activite`, `fin_activite`). `FAIT` names it: nature, value and its own
    date, or `DTREF` where the flow gives none. A person who is no longer in the file gives a row
    `absent`. A file is compared with the one that :meth:`arrange` found before it; without one,
    every fact is given.

    Assumed: a file holds all households of one organisation, as full monthly flows do. Other flows
    are refused; a month in two files would make the persons of the first absent in the second. Of
    the file before, some 400 bytes a person are held.

    Example:
        >>> text = b'''<Racine><IdentificationFlux><TYPEFLUX>M</TYPEFLUX>
        ... <DTCREAFLUX>2024-03-05</DTCREAFLUX><DTREF>2024-02-29</DTREF></IdentificationFlux>
        ... <InfosFoyerRSA><Personne/><PrestationRSA><SituationDossierRSA>
        ... <EtatDossierRSA><ETATDOSRSA>4</ETATDOSRSA></EtatDossierRSA><SuspensionVersement>
        ... <MOTISUSVERSRSA>06</MOTISUSVERSRSA><DDSUSVERSRSA>2024-02-01</DDSUSVERSRSA>
        ... </SuspensionVersement></SituationDossierRSA></PrestationRSA></InfosFoyerRSA></Racine>'''
        >>> reader = CafReader(SourceFile.in_memory("BEM.xml", text), ReaderOptions())
        >>> columns = ["FAIT", "MOTIF", "DTEFFET", "CREAFLUX"]
        >>> next(reader.batches(columns)).table.to_pylist()
        [{'FAIT': 'droit:4:2024-02-01', 'MOTIF': '06', 'DTEFFET': '2024-02-01', \
'CREAFLUX': '2024-03-05'}]
        >>> daily = text.replace(b"<TYPEFLUX>M<", b"<TYPEFLUX>I<")
        >>> CafReader(SourceFile.in_memory("BEI.xml", daily), ReaderOptions())
        Traceback (most recent call last):
        features.errors.DataError: reading 'BEI.xml' as caf. Expected a full monthly flow \
(TYPEFLUX M); got another kind. Hint: Whoever is not in a partial flow would be taken for gone: \
leave it out of 'path'.
    """

    def __init__(self, file: SourceFile, options: ReaderOptions, part: str | None = None) -> None:
        self._file = file
        self._limit = options.max_line_bytes
        self._earlier = file.earlier if isinstance(file, Snapshot) else None
        self._head = Head.of(file, self._limit)
        self.names = NAMES
        self.dialect = {"month": self._head.month}
        if self._earlier is not None:
            self.dialect["compared with"] = self._earlier.name

    @classmethod
    def arrange(cls, files: Sequence[SourceFile], options: ReaderOptions) -> list[SourceFile]:
        """The files of one path, each with the one before it.

        Files are of one series when their first household is of the same organisation (`FONORG`,
        `NUMORG`); their order is that of `DTREF`, then of their creation.

        Args:
            files: What the path means.
            options: Of the source.
        """

        def stamp(file: SourceFile) -> Stamp:
            head = Head.of(file, options.max_line_bytes)
            return Stamp(head.organisation, head.month, head.order)

        return in_series(files, stamp)

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """What changed; see :mod:`features.sources`. A row's number is that of its fact."""
        said = {
            "DTREF": self._head.month,
            "DTCREAFLUX": self._head.day,
            "CREAFLUX": self._head.made,
        }
        values: list[list[str | None]] = [[] for _ in columns]
        numbers: list[int] = []
        aside: list[Aside] = []
        for number, row in self._changes():
            if row is None:
                aside.append(Aside(number, "missing_person"))
            else:
                numbers.append(number)
                for held, name in zip(values, columns, strict=True):
                    held.append(said.get(name) or row.get(name))
            if len(numbers) + len(aside) >= ROWS:
                yield _batch(columns, values, numbers, aside)
                values, numbers, aside = [[] for _ in columns], [], []
        yield _batch(columns, values, numbers, aside)

    def _changes(self) -> Iterator[tuple[int, dict[str, str | None] | None]]:
        known = _Known()
        if self._earlier is not None:
            for fact in facts(self._earlier, self._limit):
                known.add(fact)
        month = self._head.month
        number = 0
        for number, fact in enumerate(facts(self._file, self._limit), start=1):
            if not fact.person:
                yield number, None
            elif not known.holds(fact):
                yield (
                    number,
                    fact.row
                    | {
                        "NATURE": fact.nature,
                        "FAIT": fact.name + month if fact.name.endswith(":") else fact.name,
                        "MOTIF": fact.motive,
                        "DTEFFET": fact.since or month,
                    },
                )
        for place, row in enumerate(known.absent(), start=number + 1):
            yield place, row | {"NATURE": "absent", "FAIT": f"absent:{month}", "DTEFFET": month}


class _Known:
    """The facts of the file before, as hashes: one of 64 bits for each, by person."""

    def __init__(self) -> None:
        self._facts: dict[str, tuple[str | None, bytes]] = {}
        self._met: set[str] = set()

    def add(self, fact: Fact) -> None:
        if fact.person:
            _, before = self._facts.get(fact.person, (None, b""))
            self._facts[fact.person] = fact.row["ROLEPERS"], before + _hashed(fact)

    def holds(self, fact: Fact) -> bool:
        found = self._facts.get(fact.person)
        if found is None:
            return False
        self._met.add(fact.person)
        return _hashed(fact) in found[1]

    def absent(self) -> Iterator[dict[str, str | None]]:
        """Who was there and was not met."""
        for person, (role, _) in self._facts.items():
            if person not in self._met:
                told = (value or None for value in person.split("\x1f"))
                row: dict[str, str | None] = dict(zip(STAYS, told, strict=True))
                if "#" in (row["NIR"] or ""):
                    row["NIR"] = None
                yield row | {"ROLEPERS": role}


def _hashed(fact: Fact) -> bytes:
    return hash((fact.name, fact.since, fact.motive)).to_bytes(8, "little", signed=True)


def _batch(
    columns: Sequence[str],
    values: Sequence[Sequence[str | None]],
    numbers: Sequence[int],
    aside: list[Aside],
) -> Batch:
    arrays = [pa.array(held, pa.string()) for held in values]
    table = pa.Table.from_arrays(arrays, names=list(columns))
    return Batch(table, np.array(numbers, np.int64), aside)
