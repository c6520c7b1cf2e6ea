"""A whole set: same arguments, same bytes; nothing half written; clear refusals."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from simulator import SimulationError, Summary, simulate


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_same_arguments_give_the_same_bytes(small: Summary, tmp_path: Path) -> None:
    again = simulate(tmp_path / "again", people=400, truth_rows=50, truth_runs=20)
    assert digests(again.folder) == digests(small.folder)
    assert again.files == small.files


def test_another_seed_gives_another_set(small: Summary, tmp_path: Path) -> None:
    other = simulate(tmp_path / "other", people=400, seed=7, truth_rows=50, truth_runs=20)
    mine, theirs = digests(small.folder), digests(other.folder)
    assert mine.keys() == theirs.keys()
    same = {name for name in mine if mine[name] == theirs[name]}
    assert same == {"truth/README"}


def test_the_set_asked_for_is_not_made_twice(small: Summary) -> None:
    before = {p: p.stat().st_mtime_ns for p in small.folder.rglob("*")}
    again = simulate(small.folder, people=400, truth_rows=50, truth_runs=20)
    assert again.already_there
    assert again.files == small.files
    assert again.seconds == {}
    assert {p: p.stat().st_mtime_ns for p in small.folder.rglob("*")} == before


def test_other_arguments_replace_the_set_and_leave_nothing_beside(tmp_path: Path) -> None:
    target = tmp_path / "set"
    simulate(target, people=60, years=2, truth_rows=5, truth_runs=2)
    summary = simulate(target, people=70, years=2, truth_rows=5, truth_runs=2)
    assert not summary.already_there
    assert json.loads((target / "simulation.json").read_text())["arguments"]["people"] == 70
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


def test_a_folder_of_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(SimulationError, match=r"Expected an empty folder.*Hint"):
        simulate(tmp_path, people=60)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_all_faulty_arguments_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match=r"people is 1.*years is 1.*truth_runs is 0"):
        simulate(tmp_path / "x", people=1, years=1, truth_runs=0)
    assert not (tmp_path / "x").exists()


def test_progress_tells_each_stage_to_its_end(tmp_path: Path) -> None:
    heard: dict[str, float] = {}
    simulate(
        tmp_path / "set",
        people=60,
        years=2,
        truth_rows=5,
        truth_runs=2,
        progress=lambda stage, share: heard.__setitem__(stage, share),
    )
    assert heard == {"history": 1.0, "truth": 1.0, "exports": 1.0}
