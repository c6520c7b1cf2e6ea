"""Compressed exports: read where they lie, bounded, and hostile ones refused by name."""

from __future__ import annotations

import gzip
import hashlib
import io
import stat
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.connect.opening import look_around
from features.errors import DataError
from features.ingest import ingest
from features.settings import ReaderOptions
from features.sources import SourceFile, open_reader
from features.sources.files import Limits
from features.sources.finding import find_files
from features.territory import Territory
from features.timelines import Timelines

pytestmark = pytest.mark.once

TEXT = b"id;day\n1;2024-03-31\n2;2024-04-01\n"
OPTIONS = ReaderOptions(delimiter=";")
MEBI = 1 << 20


def zipped(file: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file


def ids(file: SourceFile, kind: str = "csv") -> list[object]:
    return [v for b in open_reader(kind, file, OPTIONS).batches(["id"]) for v in b.table["id"]]


def parquet() -> bytes:
    held = io.BytesIO()
    pq.write_table(pa.table({"id": ["1", "2"]}), held)
    return held.getvalue()


@pytest.mark.parametrize(
    ("kind", "content"),
    [("csv", TEXT), ("jsonl", b'{"id": "1"}\n{"id": "2"}\n'), ("parquet", None)],
)
def test_every_wrapping_gives_the_same_rows(
    tmp_path: Path, kind: str, content: bytes | None
) -> None:
    content = content or parquet()
    (tmp_path / "x").write_bytes(content)
    (tmp_path / "x.gz").write_bytes(gzip.compress(content))
    zipped(tmp_path / "x.zip", {"sub/x": content})
    files = [
        SourceFile.of(tmp_path / "x"),
        SourceFile.of(tmp_path / "x.gz"),
        SourceFile.of(tmp_path / "x.zip", member="sub/x"),
        SourceFile.in_memory("x", content),
    ]
    assert [[str(v) for v in ids(file, kind)] for file in files] == [["1", "2"]] * 4
    for file in files:
        with file.seekable() as stream:
            stream.seek(3)
            assert stream.read() == content[3:]


def test_a_digest_follows_the_content(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "x.zip", {"a": TEXT, "b": b"other"})
    found = {}
    for member in ("a", "b"):
        one = hashlib.sha256()
        SourceFile.of(archive, member=member).digest(one)
        found[member] = one.digest()
    zipped(archive, {"a": TEXT, "b": b"changed"})
    again = hashlib.sha256()
    SourceFile.of(archive, member="a").digest(again)
    assert again.digest() == found["a"] != found["b"]


def test_paths_look_into_archives_folders_of_that_name_and_levels(tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip", {"x/Client.csv": TEXT, "x/y/Client.csv": TEXT, "Exit.csv": TEXT})
    (tmp_path / "b.zip" / "z").mkdir(parents=True)
    (tmp_path / "b.zip" / "z" / "Client.csv").write_bytes(TEXT)

    def found(pattern: str) -> list[str]:
        files, errors = find_files(tmp_path, pattern)
        assert not errors
        return [file.relative for file in files]

    assert found("*.zip/*/Client.csv") == ["a.zip/x/Client.csv", "b.zip/z/Client.csv"]
    assert found("a.zip/**/Client.csv") == ["a.zip/x/Client.csv", "a.zip/x/y/Client.csv"]
    assert found("a.zip/*.csv") == ["a.zip/Exit.csv"]
    _, errors = find_files(tmp_path, "a.zip/Client.csv")
    assert "got none" in str(errors[0])


# Hostile archives


def with_link(file: Path) -> None:
    info = zipfile.ZipInfo("rdv.csv")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(info, "/etc/passwd")


def encrypted(file: Path) -> None:
    zipped(file, {"rdv.csv": TEXT})
    content = bytearray(file.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + place] |= 1
    file.write_bytes(content)


def truncated(file: Path) -> None:
    zipped(file, {"rdv.csv": TEXT})
    file.write_bytes(file.read_bytes()[:-10])


def damaged(file: Path) -> None:
    zipped(file, {"rdv.csv": TEXT * 100})
    content = bytearray(file.read_bytes())
    content[45:60] = bytes(15)
    file.write_bytes(content)


def doubled(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("rdv.csv", TEXT)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("rdv.csv", b"other")


def overlapping(file: Path) -> None:
    """Two entries of the directory that share the bytes of one member."""
    zipped(file, {"rdv.csv": TEXT, "rdw.csv": TEXT})
    content = bytearray(file.read_bytes())
    second = content.rindex(b"PK\x01\x02")
    content[second + 42 : second + 46] = bytes(4)
    file.write_bytes(content)


def named(name: str) -> Callable[[Path], None]:
    def make(file: Path) -> None:
        zipped(file, {name: TEXT, "rdv.csv": TEXT})

    return make


def cut_by_a_nul(file: Path) -> None:
    zipped(file, {"rdv.csvX/../x": TEXT, "rdv.csv": TEXT})
    file.write_bytes(file.read_bytes().replace(b"rdv.csvX", b"rdv.csv\x00"))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (with_link, "got a link"),
        (encrypted, "got an encrypted one"),
        (truncated, "a whole zip archive"),
        (damaged, "damaged or cut off"),
        (doubled, "each name once"),
        (overlapping, "that overlap"),
        (named("../rdv.csv"), "names that stay inside"),
        (named("a/../../rdv.csv"), "names that stay inside"),
        (named("/etc/rdv.csv"), "names that stay inside"),
        (named("..\\rdv.csv"), "names that stay inside"),
        (named("C:/rdv.csv"), "names that stay inside"),
        (cut_by_a_nul, "names that stay inside"),
        (lambda file: file.write_bytes(b"PK\x03\x04 no archive"), "a whole zip archive"),
    ],
)
def test_a_hostile_archive_is_refused_by_name(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    make(tmp_path / "x.zip")
    files, errors = find_files(tmp_path, "x.zip/rdv.csv")
    if files:
        with pytest.raises(DataError) as caught:
            ids(files[0])
        errors = [caught.value]
    assert said in str(errors[0])
    assert "x.zip" in str(errors[0])


def test_an_archive_in_an_archive_is_not_opened(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "in.zip", {"rdv.csv": TEXT}).read_bytes()
    zipped(tmp_path / "x.zip", {"in.zip": inner, "rdv.csv.gz": gzip.compress(TEXT)})
    for pattern in ("x.zip/in.zip", "x.zip/*.gz"):
        (file,), _ = find_files(tmp_path, pattern)
        with pytest.raises(DataError, match="an archive inside an archive"):
            ids(file)


@pytest.mark.parametrize("content", [gzip.compress(TEXT * 200)[:-30], b"id;day\n1;2\n"])
def test_gzip_that_is_cut_off_or_none_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.csv.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.csv\.gz'.*damaged or cut off"):
        ids(SourceFile.of(tmp_path / "x.csv.gz"))


@pytest.mark.parametrize("wrapping", ["gz", "zip"])
def test_a_bomb_costs_no_more_than_its_limit(tmp_path: Path, wrapping: str) -> None:
    bomb = TEXT + b"1;2\n" * (50 * MEBI)  # 200 MiB from some 200 KiB
    file = tmp_path / f"x.{wrapping}"
    if wrapping == "gz":
        file.write_bytes(gzip.compress(bomb, 9))
    else:
        zipped(file, {"x": bomb})
    del bomb
    limits = Limits(ratio=100, free=MEBI)
    bounded = SourceFile.of(file, member="x" if wrapping == "zip" else None, limits=limits)
    tracemalloc.start()
    with pytest.raises(DataError, match="at most 100 bytes of content for each"):
        list(open_reader("csv", bounded, OPTIONS).batches(["id"]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 * MEBI
    small = SourceFile.of(file, member=bounded.member, limits=Limits(total=5 * MEBI))
    with pytest.raises(DataError, match="at most 5242880 bytes of content"):
        small.seekable()


def test_a_database_inside_an_archive_is_refused_with_the_remedy(tmp_path: Path) -> None:
    zipped(tmp_path / "x.zip", {"x.sqlite": b"SQLite format 3\x00"})
    with pytest.raises(DataError, match="Unpack it beside"):
        open_reader("sqlite", SourceFile.of(tmp_path / "x.zip", member="x.sqlite"), OPTIONS)


# The whole way


TERRITORY = """\
features:
  observation: {since: 2020-01-01, until: 2026-01-01}
  sources:
    social:
      service: social
      reader: csv
      options: {delimiter: auto, encoding: auto, max_ratio: 200}
      person: {system: social, columns: id}
      tables:
        - path: "exports.zip/*/rdv.csv"
          row_key: id
          events: [{code: HEALTH//CARE//STARTED, time: day, recorded_at: day}]
        - path: "rdv-*.csv.gz"
          name: gz
          row_key: id
          events: [{code: HEALTH//CARE//STARTED, time: day, recorded_at: day}]
"""


def test_compressed_exports_are_ingested_and_skipped_when_unchanged(tmp_path: Path) -> None:
    (tmp_path / "territory.yaml").write_text(TERRITORY)
    data = tmp_path / "data"
    data.mkdir()
    zipped(data / "exports.zip", {"2024/rdv.csv": TEXT, "2025/rdv.csv": b"id,day\n9,2024-01-01\n"})
    (data / "rdv-1.csv.gz").write_bytes(gzip.compress("id;day\né;2024-01-02\n".encode("cp1252")))
    territory = Territory.open(tmp_path / "territory.yaml", home=tmp_path / "work", data=data)
    report = ingest(territory)
    assert report.failures == []
    assert (report.added, report.read) == (4, 3)
    files = [figures.file for figures in report.sources[0].files]
    assert files == ["exports.zip/2024/rdv.csv", "exports.zip/2025/rdv.csv", "rdv-1.csv.gz"]
    taken = [figures.taken for figures in report.sources[0].files]
    assert [(one["encoding"], one["delimiter"]) for one in taken] == [
        ("utf-8", ";"),
        ("utf-8", ","),
        ("windows-1252", ";"),
    ]
    again = ingest(territory)
    assert (again.added, again.skipped) == (0, 3)
    assert Timelines.open(tmp_path / "work" / "timelines").count() == 4
    truncated(data / "exports.zip")
    (failure,) = ingest(territory).failures
    assert "social: reading 'exports.zip'. Expected a whole zip archive" in failure


def test_a_person_in_a_file_name_is_refused_and_named_nowhere(tmp_path: Path) -> None:
    (tmp_path / "territory.yaml").write_text(TERRITORY)
    data = tmp_path / "data"
    data.mkdir()
    members = {"2024/rdv.csv": TEXT, "184127645108946/rdv.csv": b"id;day\n9;2024-01-01\n"}
    zipped(data / "exports.zip", members)
    content = gzip.compress(b"id;day\n1;2024-01-02\n")
    for name in ("rdv-184127645108946", "rdv-1", "rdv-06_12_34_56_78", "rdv-a@b.fr"):
        (data / f"{name}.csv.gz").write_bytes(content)
    territory = Territory.open(tmp_path / "territory.yaml", home=tmp_path / "work", data=data)
    report = ingest(territory)
    assert report.read == 2
    assert len(report.failures) == 2
    assert "reading 'exports.zip/*/rdv.csv': 1 left out" in report.failures[0]
    assert "reading 'rdv-*.csv.gz': 3 left out" in report.failures[1]
    assert all("Rename" in one for one in report.failures)
    written = [file for file in (tmp_path / "work").rglob("*") if file.is_file()]
    assert written
    for one in written:
        for secret in (b"184127645108946", b"06_12_34_56_78", b"a@b.fr"):
            assert secret not in one.read_bytes() + str(one).encode(), one


def test_a_folder_in_a_persons_name_is_passed_over_when_looking(tmp_path: Path) -> None:
    for name in ("184127645108946/rdv.csv", "rdv.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("id;day\nr1;2024-01-02\nr2;2024-01-03\n")
    place = look_around(str(tmp_path))
    assert [one.path for one in place.tables] == ["rdv.csv"]
    (passed,) = place.passed
    assert "1 shaped as" in passed
    alone = tmp_path / "rdv-184127645108946.csv"
    (tmp_path / "rdv.csv").rename(alone)
    with pytest.raises(DataError, match="Rename") as caught:
        look_around(str(alone))
    assert "184127645108946" not in str(caught.value)
