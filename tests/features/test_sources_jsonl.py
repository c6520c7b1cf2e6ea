"""JSON lines: values as text, and lines that are no flat object."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.settings import ReaderOptions
from features.sources import open_reader


def read(
    file: Path, content: bytes, *columns: str, **options: int
) -> tuple[list[tuple[object, ...]], list[int], list[tuple[int, str]]]:
    file.write_bytes(content)
    rows: list[tuple[object, ...]] = []
    numbers: list[int] = []
    aside: list[tuple[int, str]] = []
    for batch in open_reader("jsonl", file, ReaderOptions(**options)).batches(columns):
        rows += [tuple(row.values()) for row in batch.table.to_pylist()]
        numbers += batch.rows.tolist()
        aside += [(one.row, one.reason) for one in batch.aside]
    return rows, numbers, aside


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.jsonl"


def test_values_are_text_and_missing_keys_null(file: Path) -> None:
    content = b'{"a": 1, "b": "x"}\r\n\n{"b": null, "a": 1.50}\n{"a": true}'
    rows, numbers, aside = read(file, content, "a", "b")
    assert rows == [("1", "x"), ("1.5", None), ("true", None)]
    assert (numbers, aside) == ([1, 3, 4], [])
    assert open_reader("jsonl", file, ReaderOptions()).names == ("a", "b")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1', "bad_json"),
        (b"[1, 2]", "bad_json"),
        (b'{"a": 1}, {"a": 2}', "bad_json"),
        (b'{"a": {"deep": 1}}', "nested_value"),
        (b'{"a": [1]}', "nested_value"),
        (b'{"a": "\xe9"}', "bad_encoding"),
        (b'{"a": "\x00"}', "nul_byte"),
        (b'{"a": "' + b"x" * 2000 + b'"}', "line_too_long"),
        (b"[" * 900, "bad_json"),
    ],
)
def test_a_bad_line_costs_itself_only(file: Path, line: bytes, reason: str) -> None:
    content = b'{"a": "first"}\n' + line + b'\n{"a": "last"}\n'
    rows, numbers, aside = read(file, content, "a", max_line_bytes=1024)
    assert rows == [("first",), ("last",)]
    assert (numbers, aside) == ([1, 3], [(2, reason)])


def test_a_line_over_several_chunks_is_passed_over(file: Path) -> None:
    content = b'{"a": 1}\n{"a": "' + b"x" * (20 * 1024 * 1024) + b'"}\n{"a": 2}\n'
    rows, numbers, aside = read(file, content, "a")
    assert (rows, numbers, aside) == ([("1",), ("2",)], [1, 3], [(2, "line_too_long")])


@settings(deadline=None)
@given(
    rows=st.lists(st.text(st.characters(exclude_characters="\ufffd", codec="utf-8")), max_size=8)
)
def test_what_the_standard_library_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str]
) -> None:
    file = tmp_path_factory.mktemp("jsonl") / "x.jsonl"
    lines = [json.dumps({"a": "start"})] + [json.dumps({"a": row}) for row in rows]
    found, _, aside = read(file, "\n".join(lines).encode(), "a")
    assert aside == []
    assert found == [("start",), *((row,) for row in rows)]
