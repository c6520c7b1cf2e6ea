"""The monthly flow of CAF and MSA: what a file gives alone, and beside the one before it."""

from __future__ import annotations

import gzip
import hashlib
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import DataError
from features.settings import ReaderOptions
from features.sources import SourceFile, open_reader
from features.sources.caf import NAMES, CafReader
from features.sources.finding import find_files
from features.sources.xml_series import Snapshot
from tests.features.caf_flow import Household, Person, flow, household, parts

OPTIONS = ReaderOptions(max_line_bytes=64 * 1024)
ONE = Household("2055990", persons=(Person(1), Person(2, "CJT", "0"), Person(3, "ENF", None)))
MONTHS = ("2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30")


def held(content: bytes, name: str = "RSABEM.xml") -> SourceFile:
    return SourceFile.in_memory(name, content)


def read(file: SourceFile, columns: Sequence[str] = NAMES) -> list[dict[str, Any]]:
    reader = open_reader("caf", file, OPTIONS)
    return [row for batch in reader.batches(columns) for row in batch.table.to_pylist()]


def monthly(*states: Sequence[Household], months: Sequence[str] = MONTHS) -> list[SourceFile]:
    """One file a month, each made five days later."""
    return [
        held(flow(state, month, f"{month[:7]}-28"), f"{month}.xml")
        for state, month in zip(states, months, strict=False)
    ]


def changes(*states: Sequence[Household]) -> list[list[str]]:
    """By file, the facts of its rows."""
    files = CafReader.arrange(monthly(*states), OPTIONS)
    return [[row["FAIT"] for row in read(file)] for file in files]


def refused(content: bytes) -> str:
    with pytest.raises(DataError) as caught:
        read(held(content))
    return str(caught.value)


# One file


def test_every_fact_of_a_first_file_is_a_row() -> None:
    work = (("SAL", "2023-11-01", "2023-12-19"), ("CHO", "2023-12-20", ""))
    rows = read(held(flow([replace(ONE, persons=(Person(1, activities=work),))])))
    assert [row["FAIT"] for row in rows] == [
        "droit:2:2024-02-29",
        "devoirs:1:2024-02-29",
        "activite:SAL:2023-11-01",
        "fin_activite:SAL:2023-11-01",
        "activite:CHO:2023-12-20",
    ]
    assert [row["DTEFFET"] for row in rows] == [
        "2024-02-29", "2024-02-29", "2023-11-01", "2023-12-19", "2023-12-20",
    ]  # fmt: skip
    first = {name: value for name, value in rows[0].items() if value is not None}
    assert first == {
        "NATURE": "droit",
        "FAIT": "droit:2:2024-02-29",
        "DTEFFET": "2024-02-29",
        "DTREF": "2024-02-29",
        "DTCREAFLUX": "2024-03-05",
        "CREAFLUX": "2024-03-05T01:18:36.0000",
        "FONORG": "CAF",
        "NUMORG": "921",
        "MATRICULE": "2055990",
        "NUMDEMRSA": "01024041921",
        "NIR": Person(1).whole,
        "ROLEPERS": "DEM",
        "ROLE_DOSSIER": "CAF-921-2055990-DEM",
        "DTDEMRSA": "2018-08-06",
        "ETATDOSRSA": "2",
        "TOPPERSDRODEVORSA": "1",
        "NOM": "Zoé Dœuf",
        "DTNAI": "1985-02-01",
    }


def test_a_state_tells_its_own_motive_and_date() -> None:
    for state, motive, since in (("3", "GL", "2024-01-01"), ("4", "06", "2023-12-01")):
        one = replace(ONE, state=state, motive=motive, since=since)
        row = read(held(flow([one])))[0]
        assert (row["FAIT"], row["MOTIF"], row["DTEFFET"]) == (
            f"droit:{state}:{since}", motive, since,
        )  # fmt: skip
    for state in "56":  # closed, and closed in an earlier month
        row = read(held(flow([replace(ONE, state=state, motive="ECH", since="2024-01-31")])))[0]
        assert (row["FAIT"], row["ETATDOSRSA"]) == ("droit:5:2024-01-31", state)


def test_the_last_of_several_suspensions_is_told() -> None:
    text = household(replace(ONE, state="3", motive="DL", since="2023-05-01"))
    more = (
        "<SuspensionDroit><MOTISUSDRORSA>GK</MOTISUSDRORSA>"
        "<DDSUSDRORSA>2024-01-01</DDSUSDRORSA></SuspensionDroit>"
    )
    content = flow([]).replace(
        b"<TransmissionFlux>",
        text.replace("<SuspensionDroit>", more + "<SuspensionDroit>").encode("windows-1252")
        + b"<TransmissionFlux>",
    )
    assert {row["MOTIF"] for row in read(held(content)) if row["NATURE"] == "droit"} == {"GK"}


def test_a_nir_has_its_key_whoever_writes_it() -> None:
    caf = read(held(flow([ONE])), ["NIR", "MATRICULE"])[0]
    number = Person(1).whole
    msa = flow([replace(ONE, matricule=number)], organisation=("MSA", "751"))
    assert read(held(msa), ["NIR", "MATRICULE"])[0] == {"NIR": number, "MATRICULE": number}
    assert caf["NIR"] == number


@pytest.mark.parametrize("encoding", ["windows-1252", "utf-8", "iso-8859-15", "utf-16"])
def test_the_file_says_its_encoding(encoding: str) -> None:
    assert read(held(flow([ONE], encoding=encoding)), ["NOM"])[0] == {"NOM": "Zoé Dœuf"}


def test_a_household_without_persons_is_set_aside() -> None:
    reader = open_reader("caf", held(flow([replace(ONE, persons=()), ONE])), OPTIONS)
    batch = next(reader.batches(["NIR"]))
    assert [(one.row, one.reason) for one in batch.aside] == [(1, "missing_person")]
    assert batch.rows.tolist() == [2, 3, 4, 5, 6]


def test_a_person_without_nir_has_the_role_in_the_file() -> None:
    one = replace(ONE, persons=(Person(1, without_nir=True), Person(3, "ENF", without_nir=True)))
    rows = read(held(flow([one])), ["NIR", "ROLE_DOSSIER"])
    assert [row["ROLE_DOSSIER"] for row in rows] == ["CAF-921-2055990-DEM"] * 2 + [None] * 2
    assert {row["NIR"] for row in rows} == {None}


# A file beside the one before it


def test_what_did_not_change_gives_no_row() -> None:
    suspended = replace(ONE, state="4", motive="06", since="2024-02-01")
    first, second, third, fourth = changes([ONE], [ONE], [suspended], [suspended])
    assert (len(first), second, fourth) == (5, [], [])
    assert third == ["droit:4:2024-02-01"] * 3


def test_each_kind_of_change_gives_its_row_alone() -> None:
    one = Household("2055990", persons=(Person(1, activities=(("SAL", "2023-11-01", ""),)),))
    ended = Person(1, activities=(("SAL", "2023-11-01", "2024-02-10"),))
    freed = replace(ended, duties="0")
    assert changes(
        [one], [replace(one, persons=(ended,))], [replace(one, persons=(freed,))], [one]
    )[1:] == [["fin_activite:SAL:2023-11-01"], ["devoirs:0:2024-03-31"], ["devoirs:1:2024-04-30"]]


def test_a_right_that_opens_again_is_told_again() -> None:
    closed = replace(ONE, state="5", motive="RAU", since="2024-02-29", persons=(Person(1),))
    one = replace(ONE, persons=(Person(1),))
    assert changes([one], [closed], [replace(closed, state="6")], [one])[1:] == [
        ["droit:5:2024-02-29"], [], ["droit:2:2024-04-30"],
    ]  # fmt: skip


def test_of_two_flows_of_a_day_the_one_without_an_hour_is_the_later() -> None:
    """It is known when that day ends; by name it would be the first."""
    timed = flow([ONE])
    bare = timed.replace(b"<HEUCREAFLUX>01:18:36.0000</HEUCREAFLUX>", b"")
    files = CafReader.arrange([held(bare, "a.xml"), held(timed, "b.xml")], OPTIONS)
    assert [file.name for file in files] == ["b.xml", "a.xml"]
    assert {row["CREAFLUX"] for row in read(held(bare))} == {"2024-03-05"}


def test_two_flows_of_a_day_are_told_apart_by_their_hour() -> None:
    early = flow([ONE])
    late = early.replace(b"01:18:36", b"14:00:00")
    files = CafReader.arrange([held(late, "a.xml"), held(early, "b.xml")], OPTIONS)
    assert [file.name for file in files] == ["b.xml", "a.xml"]


def test_who_is_gone_gives_a_row_without_what_is_not_known() -> None:
    other = Household("3000000", persons=(Person(9),))
    files = CafReader.arrange(monthly([ONE, other], [other]), OPTIONS)
    rows = read(files[1])
    assert [(row["NATURE"], row["ROLEPERS"]) for row in rows] == [
        ("absent", "DEM"), ("absent", "CJT"), ("absent", "ENF"),
    ]  # fmt: skip
    assert {name: value for name, value in rows[0].items() if value is not None} == {
        "NATURE": "absent",
        "FAIT": "absent:2024-02-29",
        "DTEFFET": "2024-02-29",
        "DTREF": "2024-02-29",
        "DTCREAFLUX": "2024-02-28",
        "CREAFLUX": "2024-02-28T01:18:36.0000",
        "FONORG": "CAF",
        "NUMORG": "921",
        "MATRICULE": "2055990",
        "NIR": Person(1).whole,
        "ROLEPERS": "DEM",
    }


def test_a_person_whose_role_changes_is_not_gone() -> None:
    alone = replace(ONE, persons=(Person(2, "DEM", "0"),))
    first, second = changes([replace(ONE, persons=(Person(2, "CJT", "0"),))], [alone])
    assert (len(first), second) == (2, [])


def test_series_are_told_apart_by_organisation() -> None:
    caf, later = monthly([ONE], [ONE])
    msa = held(flow([ONE], "2024-01-31", organisation=("MSA", "751")), "msa.xml")
    daily = held(flow([ONE], kind="I"), "daily.xml")
    found = CafReader.arrange([daily, later, msa, caf], OPTIONS)
    before = {
        one.name: one.earlier and one.earlier.name if isinstance(one, Snapshot) else "?"
        for one in found
    }
    assert before == {
        "2024-01-31.xml": None,
        "2024-02-29.xml": "2024-01-31.xml",
        "msa.xml": None,
        "daily.xml": "?",
    }


def test_a_flow_made_again_is_compared_with_the_first_of_its_month() -> None:
    suspended = replace(ONE, state="4", motive="06", since="2024-01-01", persons=(Person(1),))
    first = held(flow([suspended], "2024-01-31", "2024-02-03"), "a.xml")
    again = held(flow([replace(suspended, motive="70")], "2024-01-31", "2024-02-09"), "b.xml")
    found = CafReader.arrange([again, first], OPTIONS)
    assert [one.name for one in found] == ["a.xml", "b.xml"]
    assert [(row["FAIT"], row["MOTIF"]) for row in read(found[1])] == [("droit:4:2024-01-01", "70")]


def test_the_fingerprint_of_a_file_has_that_of_the_one_before() -> None:
    def prints(files: Sequence[SourceFile]) -> dict[str, str]:
        found = {}
        for one in CafReader.arrange(files, OPTIONS):
            digest = hashlib.sha256()
            one.digest(digest)
            found[one.name] = digest.hexdigest()
        return found

    other = replace(ONE, state="1")
    january, february, march = monthly([ONE], [other], [ONE])
    late = prints([january, february, march])
    without = prints([january, march])
    assert without["2024-01-31.xml"] == late["2024-01-31.xml"]
    assert without["2024-03-31.xml"] != late["2024-03-31.xml"]
    assert prints([march, january]) == without


STATES = st.sampled_from(
    [("0", None, None), ("2", None, None), ("4", "06", "2024-01-01"), ("5", "RAU", "2024-02-01")]
)


@given(
    st.lists(
        st.dictionaries(st.integers(1, 4), st.tuples(STATES, st.sampled_from("01")), max_size=4),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=40, deadline=None)
def test_the_rows_of_all_months_tell_the_last_state(months: list[dict[int, Any]]) -> None:
    """Replaying the changes in order gives what the last file says, whoever came and went."""
    states = [
        [
            Household(f"M{n}", *state, persons=(Person(n, duties=duties),))
            for n, (state, duties) in month.items()
        ]
        for month in months
    ]
    told: dict[tuple[str, str], str | None] = {}
    # An empty file has no organisation: it would be no part of the series.
    always = Household("M0", persons=(Person(0),))
    files = CafReader.arrange(monthly(*([always, *state] for state in states)), OPTIONS)
    for file in files:
        for row in read(file):
            who = row["MATRICULE"]
            if row["NATURE"] == "absent":
                told = {key: value for key, value in told.items() if key[0] != who}
            elif row["NATURE"] == "droit":
                told[who, "droit"] = row["ETATDOSRSA"]
            else:
                told[who, "devoirs"] = row["TOPPERSDRODEVORSA"]
    last = {n: (state[0], duties) for n, (state, duties) in months[-1].items()} | {0: ("2", "1")}
    expected = {(f"M{n}", "droit"): state for n, (state, _) in last.items()}
    assert told == expected | {(f"M{n}", "devoirs"): duties for n, (_, duties) in last.items()}


# Wrapped files


def test_months_are_found_in_archives_and_compressed(tmp_path: Path) -> None:
    january, february = monthly([ONE], [replace(ONE, state="1")])
    assert january.content is not None
    assert february.content is not None
    (tmp_path / "01.xml.gz").write_bytes(gzip.compress(january.content))
    files, _ = find_files(tmp_path, "*.xml.gz")
    assert [row["FAIT"][:5] for row in read(files[0])].count("droit") == 3
    with zipfile.ZipFile(tmp_path / "2024.zip", "w") as archive:
        archive.writestr("01/BEM.xml", january.content)
        archive.writestr("02/BEM.xml", february.content)
    files, _ = find_files(tmp_path, "*.zip/*/BEM.xml")
    found = CafReader.arrange(files, OPTIONS)
    assert [len(read(one)) for one in found] == [5, 3]


# Hostile and damaged files

BODY = flow([ONE] * 400)
HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "got an empty file"),
    "text": (b"id;day\n1;2024-03-31\n", "Expected well-formed XML; got at line 1: not well-formed"),
    "cut off": (BODY[: len(BODY) * 2 // 3], "Expected a file that is whole; got one that is cut"),
    "cut in a tag": (BODY[: BODY.rindex(b"</Personne") + 5], "got one that is cut off at line"),
    "crossed": (BODY.replace(b"</NIR>", b"</RIN>", 1), "got at line 4: mismatched tag"),
    "two in one": (BODY + BODY, "got at line"),
    "not its encoding": (
        flow([ONE]).replace(b'"windows-1252"', b'"utf-8"'),
        "got at line 4: not well-formed (invalid token)",
    ),
    "no such byte": (
        flow([ONE]).replace(b"Zo\xe9", b"Zo\x81"),
        "got at line 4: not well-formed (invalid token)",
    ),
    "a NUL": (flow([ONE]).replace(b"Zo\xe9", b"Zo\x00"), "not well-formed (invalid token)"),
    "no such encoding": (
        flow([ONE]).replace(b'"windows-1252"', b'"cp-none"'),
        "Expected an encoding that XML readers know",
    ),
    "many bytes a character": (
        flow([ONE]).replace(b'"windows-1252"', b'"shift_jis"'),
        "Expected an encoding that XML readers know",
    ),
    "billion laughs": (
        flow([ONE]).replace(
            b"<Racine",
            b'<!DOCTYPE Racine [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
            b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>\n<Racine',
            1,
        ),
        "Expected no document type; got one",
    ),
    "another file": (
        flow([ONE])
        .replace(b"<Racine", b'<!DOCTYPE R [<!ENTITY x SYSTEM "file:///etc/passwd">]><Racine', 1)
        .replace(b"Zo\xe9", b"&x;"),
        "Expected no document type; got one",
    ),
    "another host": (
        flow([ONE]).replace(b"<Racine", b'<!DOCTYPE R SYSTEM "http://192.0.2.1/x.dtd"><Racine', 1),
        "Expected no document type; got one",
    ),
    "an entity of no type": (
        flow([ONE]).replace(b"Zo\xe9", b"&xxe;"),
        "got at line 4: undefined entity",
    ),
    "deep": (
        flow([]).replace(
            b"<TransmissionFlux>", b"<a>" * 200 + b"</a>" * 200 + b"<TransmissionFlux>"
        ),
        "Expected at most 64 elements inside one another; got more",
    ),
    "deep and open": (flow([]).replace(b"<Trans", b"<a>" * 1_000_000), "Expected at most 64"),
    "a large household": (
        flow([replace(ONE, persons=tuple(Person(n) for n in range(1000)))]),
        "Expected records of at most 65536 bytes; got a larger one. Hint: If the export is meant",
    ),
    "a large text": (flow([ONE]).replace(b"Zo\xe9", b"Z" * 500_000), "records of at most"),
    "a large name": (
        flow([ONE]).replace(b"<NOM>", b'<NOM a="' + b"a" * 500_000 + b'">'),
        "records of at most",
    ),
    "a large space": (flow([ONE]).replace(b"<Trans", b" " * 500_000 + b"<Trans"), "records of at"),
    "a late root": (
        flow([ONE]).replace(b"<Racine", b"<!--" + b"-x" * 40_000 + b"--><Racine", 1),
        "got none in the first 65536 bytes",
    ),
    "another root": (
        b"<Rien><IdentificationFlux/></Rien>",
        "Expected the root element 'Racine'; got another one",
    ),
    "daily": (flow([ONE], kind="I"), "Expected a full monthly flow (TYPEFLUX M); got another kind"),
    "no head": (
        flow([ONE]).replace(b"IdentificationFlux", b"Identification"),
        "(TYPEFLUX M); got none named",
    ),
    "no month": (flow([ONE], "29/02/2024"), "Expected DTREF as 2024-01-31; got another text"),
    "no date": (flow([ONE], made="2024-02-30"), "Expected DTCREAFLUX as 2024-01-31"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_damaged_or_hostile_is_refused_by_name(case: str) -> None:
    content, expected = HOSTILE[case]
    said = refused(content)
    assert expected in said
    assert "RSABEM.xml" in said
    assert not any(value in said for value in ("Zo", Person(1).nir, "2055990", "passwd"))


def test_a_file_beside_a_damaged_one_names_the_damaged_one() -> None:
    january, february = monthly([ONE] * 100, [ONE] * 100)
    assert january.content is not None
    cut = held(january.content[:20_000], "2024-01-31.xml")
    with pytest.raises(DataError, match=r"2024-01-31\.xml.*cut off"):
        read(CafReader.arrange([cut, february], OPTIONS)[1])


def test_rows_repeated_or_in_another_order_say_the_same() -> None:
    other = Household("3000000", persons=(Person(9),))
    plain = read(held(flow([ONE, other])))
    turned = read(held(flow([other, ONE])))
    assert sorted(plain, key=str) == sorted(turned, key=str)
    assert changes([ONE, other], [other, ONE, other])[1] == []


class Endless(RawIOBase):
    """The bytes of an iterator, made while they are read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = next(self._pieces, b"")
        taken = self._rest[: len(buffer)]
        self._rest = self._rest[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)


class Made(SourceFile):
    """A file that no disk holds."""

    def open(self) -> BinaryIO:
        return cast("BinaryIO", BufferedReader(Endless(PIECES[self.name]())))


def many(households: int) -> Iterator[bytes]:
    return parts(
        Household(f"{n:07d}", persons=(Person(n), Person(n + 400_000, "CJT")))
        for n in range(households)
    )


PIECES: dict[str, Callable[[], Iterator[bytes]]] = {
    "small": lambda: many(300),
    "large": lambda: many(3_000),
}


def test_memory_does_not_grow_with_the_file() -> None:
    peaks = {}
    for name in PIECES:
        reader = CafReader(Made(name, Path("made.xml"), name), OPTIONS)
        tracemalloc.start()
        rows = sum(batch.table.num_rows for batch in reader.batches(["NIR", "FAIT"]))
        peaks[name] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert rows == {"small": 1_200, "large": 12_000}[name]
    # What grows is the batch, of at most 50,000 rows; the tree of 4 MB would take ten times more.
    assert peaks["large"] - peaks["small"] < 4e6
