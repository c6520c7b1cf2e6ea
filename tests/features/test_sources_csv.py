"""Delimited text: every record is read or noted, whatever the quotes, bytes and line ends."""

from __future__ import annotations

import csv
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import DataError
from features.settings import ReaderOptions
from features.sources import open_reader

MEBI = 1024 * 1024


def read(
    file: Path, content: bytes | None, columns: tuple[str, ...] = ("a", "b"), **options: object
) -> tuple[list[tuple[str | None, ...]], list[int], list[tuple[int, str]]]:
    """Rows, their numbers, and what was noted."""
    if content is not None:
        file.write_bytes(content)
    settings = ReaderOptions.model_validate({"delimiter": ";", **options})
    rows: list[tuple[str | None, ...]] = []
    numbers: list[int] = []
    aside: list[tuple[int, str]] = []
    for batch in open_reader("csv", file, settings).batches(columns):
        rows += [tuple(row.values()) for row in batch.table.to_pylist()]
        numbers += batch.rows.tolist()
        aside += [(one.row, one.reason) for one in batch.aside]
    return rows, numbers, aside


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rdv.csv"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_rows_of_both_line_ends(file: Path, end: bytes) -> None:
    content = end.join([b"b;a;c", b"1;x;", b'2;"y;z";', b"", b'"3";"say ""a""";0'])
    rows, numbers, aside = read(file, content)
    assert rows == [("x", "1"), ("y;z", "2"), ('say "a"', "3")]
    assert numbers == [1, 2, 4]
    assert aside == []


def test_the_declared_missing_values_are_null(file: Path) -> None:
    rows, _, _ = read(file, b'a;b\nNULL;1\n"";"NULL"\n', nulls=["", "NULL"])
    assert rows == [(None, "1"), (None, None)]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("windows-1252", "a;b\né;œ\n"),
        ("iso-8859-15", "a;b\né;œ\n"),
        ("utf-8", "\ufeffa;b\né;œ\n"),
        ("utf-16", "a;b\né;œ\n"),
    ],
)
def test_encodings(file: Path, encoding: str, text: str) -> None:
    assert read(file, text.encode(encoding), encoding=encoding)[0] == [("é", "œ")]


def test_a_line_of_another_encoding_is_noted_and_the_others_read(file: Path) -> None:
    rows, numbers, aside = read(file, "a;b\n1;é\n2;e\n".encode("windows-1252"))
    assert (rows, numbers, aside) == ([("2", "e")], [2], [(1, "bad_encoding")])


def test_bytes_that_no_character_has_are_noted(file: Path) -> None:
    _, _, aside = read(file, b"a;b\n1;\x81\n", encoding="windows-1252")
    assert aside == [(1, "bad_encoding")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1;2;3", "wrong_number_of_columns"),
        (b"1", "wrong_number_of_columns"),
        (b"1;\x002", "nul_byte"),
        (b"1;2\r3;4", "stray_return"),
        (b'1;"2', "open_quote"),
        (b"1;" + b"x" * 2000, "line_too_long"),
    ],
)
def test_a_bad_line_costs_itself_only(file: Path, line: bytes, reason: str) -> None:
    content = b"a;b\n0;0\n" + line + b"\n5;6\n7;8\n"
    rows, numbers, aside = read(file, content, max_line_bytes=1024)
    assert rows == [("0", "0"), ("5", "6"), ("7", "8")]
    assert numbers == [1, 3, 4]
    assert aside == [(2, reason)]


def test_a_newline_inside_quotes_belongs_to_the_value(file: Path) -> None:
    rows, numbers, aside = read(file, b'a;b\n1;"two\nlines"\n2;x\n')
    assert rows == [("1", "two\nlines"), ("2", "x")]
    assert (numbers, aside) == ([1, 3], [])


def test_a_stray_quote_does_not_swallow_the_rows_up_to_the_next(file: Path) -> None:
    middle = b"".join(b"%d;x\n" % n for n in range(200))
    rows, _, aside = read(file, b'a;b\nq;"stray\n' + middle + b'r;"fine"\n')
    assert len(rows) == 201
    assert aside == [(1, "open_quote")]


def test_a_quote_inside_a_value_is_a_character(file: Path) -> None:
    assert read(file, b'a;b\n1;5" screen\n')[0] == [("1", '5" screen')]


def test_a_line_far_too_long_is_never_held(file: Path) -> None:
    with file.open("wb") as stream:
        stream.write(b"a;b\n1;2\n")
        for _ in range(64):
            stream.write(b"x" * MEBI)
        stream.write(b"\n3;4\n")
    read(file, None)
    tracemalloc.start()
    rows, numbers, aside = read(file, None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == [("1", "2"), ("3", "4")]
    assert (numbers, aside) == ([1, 3], [(2, "line_too_long")])
    assert peak < 48 * MEBI


def test_records_go_over_chunk_borders(file: Path) -> None:
    count = 420_000
    content = b"a;b\n" + b"".join(b'%d;"value %d"\n' % (n, n) for n in range(count))
    assert len(content) > 8 * MEBI
    rows, numbers, aside = read(file, content)
    assert len(rows) == count
    assert rows[-1] == (str(count - 1), f"value {count - 1}")
    assert numbers == list(range(1, count + 1))
    assert aside == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file"),
        (b"\n1;2\n", "a blank line"),
        (b"a;b;a\n", "repeats 1 of its 3 names"),
        (b"a;\x00\n", "NUL bytes in the header"),
        (b"a;\xe9\n", "bytes of another encoding"),
        (b"a" * 3000 + b"\n", "over 1024 bytes"),
    ],
)
def test_a_header_that_cannot_be_used_is_said(file: Path, content: bytes, said: str) -> None:
    with pytest.raises(DataError) as caught:
        read(file, content, max_line_bytes=1024)
    assert said in str(caught.value)
    assert "Hint: " in str(caught.value)


@pytest.mark.parametrize("content", [b"a;b", b"a;b\n", b"a;b;;\r\n\r\n"])
def test_a_header_alone_gives_no_row(file: Path, content: bytes) -> None:
    assert read(file, content) == ([], [], [])


CELLS = st.text(alphabet='ab1";,\né ', max_size=6)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=12), end=st.sampled_from(["\r\n", "\n"])
)
def test_what_the_standard_library_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], end: str
) -> None:
    file = tmp_path_factory.mktemp("csv") / "x.csv"
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";", lineterminator=end)
    writer.writerows([("a", "b", "c"), *rows])
    found, _, aside = read(file, text.getvalue().encode(), ("a", "b", "c"), nulls=[])
    assert aside == []
    assert found == rows


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_noted(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes
) -> None:
    file = tmp_path_factory.mktemp("csv") / "x.csv"
    rows, numbers, aside = read(file, b"a;b\n" + noise + b"\nlast;row\n")
    assert rows[-1:] == [("last", "row")] or aside
    assert len(rows) == len(numbers)
    assert not {row for row, _ in aside} & set(numbers)
