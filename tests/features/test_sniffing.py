"""What is told of a text from its beginning, and read as it was written."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.settings import ReaderOptions
from features.sources import SourceFile, open_reader
from features.sources.sniffing import FOR_ENCODING, Dialect, sniff, sniff_encoding

pytestmark = pytest.mark.once

FRENCH = "n°;prénom;où;coût\n1;Zoé;à côté de l’hôpital;12,50 €\n2;Noël;forêt;3,20 €\n"


def held(content: bytes) -> SourceFile:
    return SourceFile.in_memory("x.csv", content)


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("windows-1252", "windows-1252"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
        ("mac-roman", "mac-roman"),
    ],
)
def test_encodings_of_a_french_text(encoding: str, told: str) -> None:
    assert sniff_encoding(held(FRENCH.encode(encoding))) == told


def test_text_of_dos_and_text_of_another_alphabet() -> None:
    assert sniff_encoding(held("prénom;où\nZoé;côté\n".encode("cp850"))) == "cp850"
    greek = "όνομα;ημέρα\nΑλέξανδρος;Κυριακή\nΕλένη;Παρασκευή\n" * 20
    told = sniff_encoding(held(greek.encode("iso-8859-7")))
    assert greek.encode("iso-8859-7").decode(told) == greek


def test_an_accent_that_comes_late_and_a_sample_that_ends_inside_a_character() -> None:
    late = "a;b\n" + "1;2\n" * 200_000
    assert sniff_encoding(held((late + "1;é\n").encode("windows-1252"))) == "windows-1252"
    padded = "é" * (FOR_ENCODING // 2 + 10)
    assert sniff_encoding(held(b"x" + padded.encode())) == "utf-8"


@pytest.mark.parametrize(
    ("text", "delimiter", "quote", "decimal", "header"),
    [
        ("a;b\n1,5;2\n3,5;4\n", ";", '"', ",", True),
        ("a,b\n1.5,2\n", ",", '"', ".", True),
        ("a\tb\n1.5\t2\n", "\t", '"', ".", True),
        ("a|b|c\nx, y|z; t|u\n", "|", '"', ".", True),
        ('a,b\n"x;y;z",1\n"t;u;v",2\n', ",", '"', ".", True),
        ("a;b\n'x;y';1\n'z;t';2\n", ";", "'", ".", True),
        ("1;2024-01-01\n2;2024-01-02\n", ";", '"', ".", False),
        ("seul\n1,5\n2,5\n", ",", '"', ".", True),
        ("id;montant;taux\n1;1 500,50;0,5\n", ";", '"', ",", True),
        ("", ",", '"', ".", False),
    ],
)
def test_separator_quote_decimal_and_header(
    text: str, delimiter: str, quote: str, decimal: str, header: bool
) -> None:
    assert sniff(held(text.encode())) == Dialect("utf-8", delimiter, quote, decimal, header)


WORD = st.text(st.sampled_from("abcdeé ;,|\"'1"), min_size=1, max_size=6).filter(str.strip)


@settings(deadline=None)
@given(
    st.sampled_from([";", ",", "\t", "|"]),
    st.integers(2, 5).flatmap(
        lambda n: st.lists(st.lists(WORD, min_size=n, max_size=n), min_size=3, max_size=8)
    ),
)
def test_what_is_quoted_where_it_must_be_is_told_and_read(mark: str, rows: list[list[str]]) -> None:
    stream = io.StringIO()
    names = [f"c{n}" for n in range(len(rows[0]))]
    writer = csv.writer(stream, delimiter=mark, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([names, *rows])
    file = held(stream.getvalue().encode())
    assert sniff(file).delimiter == mark
    options = ReaderOptions(encoding="auto", delimiter="auto", quote="auto", nulls=[])
    reader = open_reader("csv", file, options)
    found = [tuple(r.values()) for b in reader.batches(names) for r in b.table.to_pylist()]
    assert found == [tuple(row) for row in rows]


def test_lines_of_json_in_an_encoding_that_is_told(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_bytes('{"a": "é"}\n'.encode("windows-1252"))
    (batch,) = open_reader("jsonl", file, ReaderOptions(encoding="auto")).batches(["a"])
    assert batch.table["a"].to_pylist() == ["é"]
