"""Tables of real databases: types, watermarks, late and corrected rows, kills, faults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy.engine import URL

from features.errors import ConfigurationError, DataError
from features.ingest import ingest
from features.ledger import Ledger
from features.quality import FileFigures
from features.settings import FeaturesSettings, ReaderOptions
from features.sources import open_reader
from features.sources.addresses import Address
from features.sources.sql import DatabaseTable
from features.territory import Territory
from features.timelines import Timelines
from tests.features.sql_servers import PASSWORD, Base, folder_for_server, fresh, mariadb, postgres

pytestmark = pytest.mark.once

OPTIONS = ReaderOptions()
PERIOD = {"since": date(2020, 1, 1), "until": date(2026, 1, 1)}
TABLE = """CREATE TABLE rdv (id integer PRIMARY KEY, who varchar(40) NOT NULL, day date,
           entered INSTANT, changed INSTANT, score numeric(8, 2))"""
SERVERS = {"postgresql": postgres, "mariadb": mariadb}


@pytest.fixture(scope="session", params=["postgresql", "mariadb", "sqlite"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, URL | None]]:
    kind: str = request.param
    if kind == "sqlite":
        yield kind, None
        return
    with folder_for_server() as folder, SERVERS[kind](folder) as url:
        yield kind, url


@pytest.fixture
def base(
    server: tuple[str, URL | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Base]:
    monkeypatch.setenv("SOCIAL_PASSWORD", PASSWORD)
    with fresh(*server, tmp_path) as made:
        made.do(made.typed(TABLE))
        yield made


def row(n: int, day: int = 1, changed: str | None = None, score: str = "1.5") -> str:
    when = "NULL" if changed == "null" else f"'{changed or f'2024-03-{day:02} 08:00:00'}'"
    return (
        f"INSERT INTO rdv VALUES ({n}, 'D{n % 7}', '2024-03-{day:02}', "
        f"'2024-03-{day:02} 12:00:00', {when}, {score})"
    )


def settings(base: Base, watermark: str | None = "changed", **more: Any) -> dict[str, Any]:
    event = {
        "code": "HEALTH//CARE//STARTED",
        "time": "day",
        "recorded_at": "entered",
        "numeric_value": "score",
    }
    table = {"table": "rdv", "watermark": watermark, "row_key": "id", "events": [event], **more}
    source = {
        "service": "social",
        "url": base.url,
        "person": {"system": "social", "columns": "who"},
    }
    return {
        "observation": PERIOD,
        "sources": {"social": {**source, "tables": [table]}},
    }


def territory(base: Base, folder: Path, content: dict[str, Any] | None = None) -> Territory:
    file = folder / "territory.yaml"
    file.write_text(yaml.safe_dump({"features": content or settings(base)}))
    return Territory.open(file, home=folder / "work", data=folder / "exports")


def taken(one: Territory) -> tuple[FileFigures, int, int]:
    """The table's figures, what was added, events in the timelines."""
    report = ingest(one)
    assert report.failures == []
    (figures,) = report.sources[0].files
    return figures, report.added, Timelines.open(one.home / "timelines").count()


def values(base: Base, columns: list[str], table: str = "rdv") -> list[dict[str, Any]]:
    folder = Path(str(base.owner.database)).parent if base.kind == "sqlite" else Path()
    reader = open_reader("sql", DatabaseTable(table, Address.of(base.url), folder), OPTIONS)
    return [one for batch in reader.batches(columns) for one in batch.table.to_pylist()]


def test_types_are_kept(base: Base) -> None:
    base.do(
        base.typed("CREATE TABLE kinds (a bigint, b boolean, c double precision, d date, "
                   "e INSTANT, f ZONED, g varchar(20), h numeric(9,3), i BYTES)"),
        "INSERT INTO kinds VALUES (9007199254740993, true, 0.5, '2024-02-29', "
        "'2024-03-31 02:30:00', '2024-10-27 02:30:00', 'éà', 12.125, NULL)",
    )  # fmt: skip
    (found,) = values(base, list("abcdefghi"), "kinds")
    if base.kind == "sqlite":
        assert (found["a"], found["g"]) == ("9007199254740993", "éà")
        return
    assert found["a"] == 9007199254740993
    assert found["b"] == 1
    assert found["d"] == date(2024, 2, 29)
    assert found["e"] == datetime(2024, 3, 31, 2, 30)
    assert found["f"].tzinfo is not None
    assert (found["c"], found["g"], found["h"], found["i"]) == (0.5, "éà", 12.125, None)


def test_dates_that_python_has_none_for_are_missing(base: Base) -> None:
    if base.kind == "postgresql":
        base.do("INSERT INTO rdv VALUES (1, 'D1', 'infinity', '-infinity', '0044-03-15 BC', 1)")
    elif base.kind == "mariadb":
        base.do(
            "SET sql_mode = ''",
            "INSERT INTO rdv VALUES (1, 'D1', '0000-00-00', '0000-00-00', '2024-00-00', 1)",
        )
    else:
        base.do("INSERT INTO rdv VALUES (1, 'D1', NULL, NULL, NULL, 1)")
    (found,) = values(base, ["day", "entered", "changed"])
    assert list(found.values()) == [None, None, None]


def test_damaged_bytes_cost_their_row_only(base: Base) -> None:
    base.do(base.typed("CREATE TABLE t (id integer PRIMARY KEY, v BYTES)"))
    base.do("INSERT INTO t VALUES (1, :a), (2, :b)", a=b"\xe9\xff", b="é".encode())
    folder = Path(str(base.owner.database)).parent if base.kind == "sqlite" else Path()
    reader = open_reader("sql", DatabaseTable("t", Address.of(base.url), folder), OPTIONS)
    (batch,) = reader.batches(["id", "v"])
    assert [(one.row, one.reason, one.column) for one in batch.aside] == [(1, "bad_encoding", "v")]
    assert batch.rows.tolist() == [2]
    assert batch.table["v"].to_pylist() == ["é"]


def test_reads_on_from_the_watermark(base: Base, tmp_path: Path) -> None:
    base.do(*(row(n, 1 + n % 5) for n in range(20)))
    one = territory(base, tmp_path)
    figures, added, count = taken(one)
    assert (figures.rows, added, count) == (20, 20, 20)
    # Nothing new: rows at the last watermark, read already, are not counted again.
    figures, added, count = taken(one)
    assert (figures.rows, figures.duplicates, added, count) == (20, 0, 0, 20)
    # A late row, and another at the very watermark that was reached.
    base.do(row(20, 6), row(21, 2, "2024-03-05 08:00:00"))
    figures, added, count = taken(one)
    assert (figures.rows, added, count) == (22, 2, 22)
    figures, added, count = taken(one)
    assert (figures.rows, added, count) == (22, 0, 22)


def test_a_corrected_row_is_a_version(base: Base, tmp_path: Path) -> None:
    base.do(row(1), row(2))
    one = territory(base, tmp_path)
    taken(one)
    base.do(
        "UPDATE rdv SET score = 9, entered = '2024-03-08 12:00:00', "
        "changed = '2024-03-09 08:00:00' WHERE id = 1"
    )
    figures, added, _ = taken(one)
    assert (figures.rows, figures.versions, added) == (3, 1, 1)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE rdv SET changed = '2024-02-01 08:00:00' WHERE id > 2",  # goes back
        row(9, 1, "null"),  # has none
        row(9, 1, "2024-02-01 08:00:00"),  # came in behind
    ],
)
def test_starts_over_where_the_watermark_cannot_be_trusted(
    base: Base, tmp_path: Path, change: str
) -> None:
    base.do(*(row(n, n) for n in (1, 2, 3)))
    one = territory(base, tmp_path)
    taken(one)
    base.do(change)
    there = 3 + change.startswith("INSERT")
    figures, added, count = taken(one)
    assert (figures.rows, added, count) == (there, there - 3, there)
    assert figures.duplicates == 3
    figures, added, count = taken(one)
    assert (figures.rows, added, count) == (there, 0, there)


def test_many_rows_at_one_watermark_are_read_whole(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.sources.sql.MOST_TIES", 2)
    base.do(*(row(n) for n in (1, 2, 3)))
    one = territory(base, tmp_path)
    taken(one)
    figures, added, count = taken(one)
    assert (figures.rows, figures.duplicates, added, count) == (3, 3, 0, 3)


def test_without_a_watermark_the_table_is_read_whole(base: Base, tmp_path: Path) -> None:
    base.do(row(1), row(2))
    one = territory(base, tmp_path, settings(base, watermark=None))
    taken(one)
    base.do(row(3))
    figures, added, count = taken(one)
    assert (figures.rows, figures.duplicates, added, count) == (3, 2, 1, 3)


def test_a_changed_mapping_reads_it_whole(base: Base, tmp_path: Path) -> None:
    base.do(row(1), row(2))
    one = territory(base, tmp_path)
    taken(one)
    figures, _, count = taken(territory(base, tmp_path, settings(base, name="appointments")))
    # Under another name, events are others.
    assert (figures.rows, count) == (2, 4)


def test_rows_set_aside_are_told_once(base: Base, tmp_path: Path) -> None:
    base.do(row(1), row(2).replace("'2024-03-01', '", "NULL, '", 1))
    one = territory(base, tmp_path)
    for _ in range(3):
        figures, _, count = taken(one)
        assert (figures.rows, dict(figures.set_aside), count) == (2, {"missing_time": 1}, 1)
    base.do(row(3, 2))
    figures, _, count = taken(one)
    assert (figures.rows, dict(figures.set_aside), count) == (3, {"missing_time": 1}, 2)


def test_killed_between_the_rows_and_the_ledger(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*args: object) -> None:
        raise Killed

    base.do(*(row(n, n) for n in (1, 2, 3)))
    one = territory(base, tmp_path)
    taken(one)
    base.do(row(4, 4), row(5, 5).replace("'2024-03-05', '", "NULL, '", 1))
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "keep", kill)
        with pytest.raises(Killed):
            ingest(one)
    figures, added, count = taken(one)
    assert (figures.rows, added, count) == (5, 0, 4)
    figures, added, count = taken(one)
    assert (figures.rows, dict(figures.set_aside), added) == (5, {"missing_time": 1}, 0)
    assert count == 4


def test_small_batches_are_one_moment(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    if base.kind == "sqlite":
        pytest.skip("whoever writes to an SQLite file waits until it was read")
    monkeypatch.setattr("features.sources.sql.ROWS", 10)
    monkeypatch.setattr("features.sources.sql.FETCHED", 10)
    base.do(*(row(n) for n in range(95)))
    file = DatabaseTable("rdv", Address.of(base.url), watermark="changed", secret=b"k")
    reader = open_reader("sql", file, OPTIONS)
    parts = reader.batches(["id"])
    ids = next(parts).table["id"].to_pylist()
    base.do(row(200, 9), "DELETE FROM rdv WHERE id = 94")
    sizes = []
    for batch in parts:
        ids += batch.table["id"].to_pylist()
        sizes.append(batch.table.num_rows)
    assert ids == list(range(95))
    assert max(sizes) == 10
    reached = reader.reached  # type: ignore[attr-defined]
    assert reached["value"].startswith("2024-03-01")


def test_nothing_can_be_written(base: Base) -> None:
    from sqlalchemy import text

    from features.sources.databases import connected

    folder = Path(str(base.owner.database)).parent if base.kind == "sqlite" else Path()
    url = Address.of(base.url).resolved(folder)
    if base.kind != "sqlite":
        # As one who may write.
        url = url.set(username=base.owner.username, password=base.owner.password)
    base.do(row(1))
    with pytest.raises(DataError), connected(url, "rdv") as connection:
        connection.execute(text("DELETE FROM rdv"))
    assert len(values(base, ["id"])) == 1


def test_views_schemas_and_hostile_names(base: Base) -> None:
    base.do(row(1), "CREATE VIEW late AS SELECT id, who FROM rdv")
    assert values(base, ["who"], "late") == [{"who": "D1"}]
    quote = "`" if base.kind == "mariadb" else '"'
    name = "a.b; DROP TABLE rdv"
    base.do(f"CREATE TABLE {quote}{name}{quote} ({quote}x y{quote} integer)")
    base.do(f"INSERT INTO {quote}{name}{quote} VALUES (7)")
    assert [*values(base, ["x y"], f'"{name}"')[0].values()] in ([7], ["7"])
    schema = {"postgresql": "public", "mariadb": "social", "sqlite": "main"}[base.kind]
    assert len(values(base, ["id"], f"{schema}.rdv")) == 1


def test_faults_are_named_and_tell_no_secret(
    base: Base, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def said(url: str, table: str = "rdv", kind: type[Exception] = DataError) -> str:
        with pytest.raises(kind) as caught:
            open_reader("sql", DatabaseTable(table, Address.of(url), tmp_path / "exports"), OPTIONS)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        message = str(caught.value)
        assert PASSWORD not in message
        assert "reader" not in message.replace("reader: sqlite", "")
        return message

    base.do(row(1))
    assert "'rdv'?" in said(base.url, "rdvs")
    assert "table or view" in said(base.url, "nowhere.rdv")
    if base.kind == "sqlite":
        assert "no such file" in said("sqlite:///none.db")
        (tmp_path / "exports" / "x.db").write_bytes(b"not a database" * 100)
        assert "reading table 'rdv'" in said("sqlite:///x.db")
        return
    assert "a database of that name" in said(base.url.replace("/social", "/nope"))
    base.do(
        "REVOKE SELECT ON rdv FROM reader"
        if base.kind == "postgresql"
        else "REVOKE SHOW VIEW ON social.* FROM reader"
    )
    if base.kind == "mariadb":
        base.do("CREATE VIEW late AS SELECT id FROM rdv")
    with pytest.raises(DataError, match="the right to read it"):
        values(base, ["id"], "late" if base.kind == "mariadb" else "rdv")
    monkeypatch.setenv("SOCIAL_PASSWORD", "Wr0ng!pass")
    message = said(base.url)
    assert "user and password" in message
    assert "Wr0ng" not in message
    monkeypatch.delenv("SOCIAL_PASSWORD")
    assert "SOCIAL_PASSWORD" in said(base.url, kind=ConfigurationError)
    monkeypatch.setenv("SOCIAL_PASSWORD", PASSWORD)
    gone = f"{base.kind}://reader:${{SOCIAL_PASSWORD}}@127.0.0.1:9/social"
    assert "a server that answers" in said(gone)


def test_missing_columns_and_watermarks_are_named(base: Base, tmp_path: Path) -> None:
    base.do(row(1))
    for mark, what in (("chnged", "'changed'"), ("score", "grow")):
        with pytest.raises(DataError, match=what):
            ingest(territory(base, tmp_path, settings(base, watermark=mark)))


def test_the_password_is_nowhere_in_the_work_folder(base: Base, tmp_path: Path) -> None:
    base.do(row(1))
    one = territory(base, tmp_path)
    taken(one)
    for file in one.home.rglob("*"):
        if file.is_file():
            assert PASSWORD.encode() not in file.read_bytes()
    (entry,) = (one.home / "ledger").glob("*.json")
    assert json.loads(entry.read_text())["reached"]["value"].startswith("2024-03-01")


def test_times_of_autumn_are_not_meant_twice(base: Base) -> None:
    if base.kind != "mariadb":
        pytest.skip("only MariaDB shows its TIMESTAMP in the session's zone")
    base.do(
        "CREATE TABLE t (id integer, v timestamp)",
        "SET time_zone = '+02:00'",
        "INSERT INTO t VALUES (1, '2024-10-27 02:30:00')",
    )
    assert values(base, ["v"], "t") == [{"v": datetime(2024, 10, 27, 0, 30, tzinfo=UTC)}]


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("postgresql://a:b@h/d", "holds a password"),
        ("postgresql://a:x${P}@h/d", "holds a password"),
        ("postgresql://a@h/d?password=b", "setting"),
        ("mariadb://a@h/d?init_command=x", "setting"),
        ("oracle://a@h/d", "no kind of database"),
        ("postgresql+psycopg2://a@h/d", "no kind of database"),
        ("postgresql://h", "names no database"),
        ("not an address", "no address"),
    ],
)
def test_addresses_refused(url: str, what: str) -> None:
    event = {"code": "EXIT//PATHWAY//JOB", "recorded_at": "day"}
    source = {
        "service": "s",
        "url": url,
        "person": {"system": "s", "columns": "p"},
        "tables": [{"table": "t", "row_key": "id", "events": [event]}],
    }
    content = {
        "observation": {"since": "2020-01-01", "until": "2026-01-01"},
        "sources": {"a": source},
    }
    with pytest.raises(ValueError, match=what) as caught:
        FeaturesSettings.model_validate(content)
    assert ":b@" not in str(caught.value.errors(include_input=False, include_context=False))  # type: ignore[attr-defined]


def test_a_whole_address_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    address = Address.of("${SOCIAL}")
    monkeypatch.setenv("SOCIAL", "postgresql://a:b%40@h/d")
    assert address.resolved(Path()).password == "b@"
    monkeypatch.setenv("SOCIAL", "oracle://a:secret@h/d")
    with pytest.raises(ConfigurationError, match="no kind") as caught:
        address.resolved(Path())
    assert "secret" not in str(caught.value)
