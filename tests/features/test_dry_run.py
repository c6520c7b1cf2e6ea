"""The dry run: what an ingest would find at the beginning of every table, and nothing written."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from features.dry_run import dry_run, first_rows
from features.errors import ConfigurationError, DataError
from features.ingest import ingest
from features.sources import Aside, Batch
from features.territory import Territory
from tests.features.test_ingest import NIR, TERRITORY, write_exports


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JALON_KEY", raising=False)


@pytest.fixture
def territory(tmp_path: Path) -> Territory:
    write_exports(tmp_path / "exports")
    (tmp_path / "territory.yaml").write_text(TERRITORY)
    return Territory.open(
        tmp_path / "territory.yaml", home=tmp_path / "home", data=tmp_path / "exports"
    )


def bytes_of(folder: Path) -> dict[str, str]:
    """Every file below a folder with a digest of its content, and every folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in sorted(folder.rglob("*"))
    }


def test_it_counts_what_an_ingest_counts(territory: Territory) -> None:
    trial = dry_run(territory, rows=100_000)
    report = ingest(territory)
    files = {f.table + f.file: f for s in report.sources for f in s.files}
    assert len(trial.tables) == len(files) == 4
    for one in trial.tables:
        real = files[one.figures.table + one.figures.file]
        assert one.figures.rows == real.rows
        # Contradictions with a version that is known are only met by the timelines.
        known = {k: v for k, v in real.set_aside.items() if k != "contradiction"}
        assert dict(one.figures.set_aside) == known
        assert one.figures.unknown == real.unknown
        assert sum(one.codes.values()) >= real.events + real.versions
    rdv = next(t for t in trial.tables if t.figures.file == "rdv.csv")
    assert rdv.repeated == 2, "r0 and r1 stand twice in the export"
    assert rdv.figures.rows == rdv.figures.mapped + sum(rdv.figures.set_aside.values())
    assert next(p for p in trial.persons if p.file == "personnes.csv").keys == {
        "social": 5,
        "nir": 1,
    }


def test_the_work_folder_stays_byte_for_byte(territory: Territory) -> None:
    dry_run(territory)
    assert not territory.home.exists()
    ingest(territory)
    before = bytes_of(territory.home)
    assert before
    dry_run(territory)
    assert bytes_of(territory.home) == before


def test_nothing_is_left_in_the_temporary_folder(
    territory: Territory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passing = tmp_path / "passing"
    passing.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(passing))
    dry_run(territory)
    assert not list(passing.iterdir())


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_no_person_is_shown(territory: Territory, lang: str) -> None:
    found = dry_run(territory)
    said = found.text(lang) + json.dumps(found.as_dict())
    for value in (NIR, "D1", "D2", "S1", "Zoé", "r0", "F1"):
        assert f'"{value}"' not in said
        assert f" {value}" not in said
    example = next(t for t in found.tables if t.figures.file == "rdv.csv").examples[0]
    assert set(example) <= {"row", "code", "time", "recorded_at", "end_time", "numeric_value"}


def test_rows_are_bounded(territory: Territory) -> None:
    trial = dry_run(territory, rows=7)
    assert max(one.figures.rows for one in trial.tables) == 7
    assert "7" in trial.text("en").splitlines()[0]


def test_what_cannot_be_read_is_said_and_the_rest_shown(territory: Territory) -> None:
    (territory.data / "soins.jsonl").unlink()
    with sqlite3.connect(territory.data / "h.sqlite") as base:
        base.execute("ALTER TABLE situation RENAME COLUMN code TO other")
    base.close()
    trial = dry_run(territory)
    assert len(trial.failures) == 2
    assert any("'code'" in one for one in trial.failures)
    assert len(trial.tables) == 2
    for path in territory.data.iterdir():
        path.unlink()
    with pytest.raises(DataError, match="no table could be read"):
        dry_run(territory)


def test_what_is_optional_is_left_out_and_said(territory: Territory) -> None:
    text = TERRITORY.replace("path: soins.jsonl", "path: soins.jsonl\n          optional: true")
    rule = "- {code: TRAINING//COURSE//STARTED,"
    text = text.replace(
        rule,
        f"{rule} time: le, recorded_at: saisi}}\n            {rule} optional: true, end_time: x,",
    )
    territory.file.write_text(text)
    (territory.data / "soins.jsonl").unlink()
    opened = Territory.open(territory.file, home=territory.home, data=territory.data)
    trial = dry_run(opened)
    assert trial.failures == ()
    assert trial.left_out == ("health: no file 'soins.jsonl' (optional)",)
    courses = next(t for t in trial.tables if t.figures.source == "training")
    assert courses.left_out == ["no column 'x': no TRAINING//COURSE//STARTED (optional)"]
    assert dict(courses.codes) == {"TRAINING//COURSE//STARTED": 1}
    assert "no column 'x'" in trial.text("en")


def test_a_mapping_that_cannot_be_used_is_refused(territory: Territory) -> None:
    file = territory.file
    file.write_text(TERRITORY.replace("HEALTH//CARE//STARTED", "HEALTH//CARE//TODO_CHOOSE"))
    with pytest.raises(ConfigurationError, match="TODO_CHOOSE"):
        dry_run(Territory.open(file, home=territory.home, data=territory.data))


def test_the_command(territory: Territory, monkeypatch: pytest.MonkeyPatch) -> None:
    from jalon import app

    call = ["ingest", str(territory.file), "--data", str(territory.data)]
    call += ["--home", str(territory.home), "--dry-run", "--rows", "5"]
    shown = CliRunner().invoke(app, call)
    assert shown.exit_code == 0, shown.output
    assert "Rien n'a été écrit." in shown.output
    told = CliRunner().invoke(app, [*call, "--json"])
    assert json.loads(told.stdout)["rows_at_most"] == 5
    both = CliRunner().invoke(app, [*call, "--retry"])
    assert isinstance(both.exception, ConfigurationError)
    assert not territory.home.exists()


@given(
    st.lists(
        st.lists(st.booleans(), max_size=6),
        max_size=5,
    ),
    st.integers(0, 12),
)
def test_the_first_rows_are_the_first(parts: list[list[bool]], wanted: int) -> None:
    """Rows read and rows that cannot be read count alike, in the file's order."""
    batches, number = [], 0
    for part in parts:
        rows, aside = [], []
        for whole in part:
            number += 1
            (rows if whole else aside).append(number)
        table = pa.table({"n": pa.array(rows, pa.int64())})
        batches.append(Batch(table, np.array(rows, np.int64), [Aside(n, "x") for n in aside]))
    met: list[int] = []
    for batch in first_rows(iter(batches), wanted):
        assert batch.table["n"].to_pylist() == batch.rows.tolist()
        met += sorted([*batch.rows.tolist(), *(one.row for one in batch.aside)])
    assert met == list(range(1, min(wanted, number) + 1))
