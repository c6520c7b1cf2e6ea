"""The first call on a machine compiles in two processes, keeps the result and never fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import features
from features.engine import cores

pytestmark = pytest.mark.once

ROOT = Path(features.__file__).parents[1]
FIRST_CALL = [sys.executable, "-P", "-m", "features.first_call"]
ROW = """
import numpy as np, pyarrow as pa
from datetime import datetime as at
from features.catalogue import Catalogue, Feature
from features.engine import Engine
from features.events import EVENTS
from features.kernels import fill
from features.sliding import slide
code = "CONTACT//APPOINTMENT//SEEN"
kept = {"code": code, "subject_id": 7, "source": "social", "recorded_at": at(2025, 3, 30)}
days = {"a": 22, "b": 2, "c": 10}  # not in the order of time
events = pa.Table.from_pylist(
    [kept | {"event_id": one, "time": at(2025, 3, day)} for one, day in days.items()],
    schema=EVENTS,
)
gap, count = (
    Feature(f"seen.{measure}.90d", "seen", measure, 90, "contact", {"en": "Seen"}, unit, (code,))
    for measure, unit in (("mean_gap", "days"), ("count", "count"))
)
engine, person = Engine(Catalogue((gap, count))), np.array([7])
prepared = engine.prepare(events, person)
rows = engine.rows(person, np.array(["2025-04-01"], "datetime64[us]").view(np.int64), person)
print(*engine.values(prepared, rows)[0][0].tolist())
print(*(sum(kernel.stats.cache_hits.values()) for kernel in (fill, slide)))
print(*(sum(kernel.stats.cache_misses.values()) for kernel in (fill, slide)))
"""
CRASH = """
import logging, sys
logging.basicConfig(format="%(levelname)s %(message)s")
from features import first_call
sys.executable = {program!r}
first_call.begin()
first_call.settle()
print(first_call.mark().exists())
"""
BEGUN = """
from features import first_call
first_call.begin()
print(first_call._begun.pid)
"""


def _environment(cache: Path, **more: str) -> dict[str, str]:
    return os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)} | more


def _said(code: str, environment: dict[str, str]) -> tuple[list[str], str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines(), done.stderr


def test_a_cold_call_compiles_in_two_processes_and_fills_the_cache(tmp_path: Path) -> None:
    told, wrong = _said(ROW, _environment(tmp_path))
    other = int(cores() > 1)
    # The kernel came from disk: the other process compiled it for the very same arrays.
    assert (told, wrong) == (["10.0 3.0", f"{other} 0", f"{1 - other} 1"], "")
    kept = {path.name.split("-")[0] for path in tmp_path.rglob("*.nbc")}
    assert {"kernels.fill", "sliding.slide", "ordering.by_person_and_time"} <= kept
    assert len(list(tmp_path.rglob("kernels.*.kept"))) == other
    again, wrong = _said(ROW, _environment(tmp_path))
    assert (again, wrong) == (["10.0 3.0", "1 1", "0 0"], "")


def test_two_processes_at_once_leave_one_good_cache(tmp_path: Path) -> None:
    both = [subprocess.Popen(FIRST_CALL, env=_environment(tmp_path)) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    told, _ = _said(
        "from features import first_call, kernels\n"
        "first_call.begin()\n"
        "assert first_call._begun is None\n"
        "first_call.keep()\n"
        "print(sum(kernels.fill.stats.cache_hits.values()))\n",
        _environment(tmp_path),
    )
    assert told == ["1"]
    assert not list(tmp_path.rglob("*.tmp.*"))


def test_the_end_of_the_other_process_is_noticed(tmp_path: Path) -> None:
    told, wrong = _said(CRASH.format(program="/bin/false"), _environment(tmp_path))
    assert told == ["False"]
    assert wrong.startswith("WARNING the process that compiled the kernels ended with code 1")
    told, wrong = _said(CRASH.format(program=str(tmp_path / "none")), _environment(tmp_path))
    assert told == ["False"]
    assert wrong.startswith("WARNING no second process to compile in")


def test_nothing_is_started_where_nothing_can_be_kept(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    told, wrong = _said(
        "from features import first_call\n"
        "first_call.begin()\n"
        "first_call.settle()\n"
        "print(first_call.mark(), first_call._begun)\n",
        _environment(file, NUMBA_CACHE_LOCATOR_CLASSES="UserProvidedCacheLocator"),
    )
    assert (told, wrong) == (["None None"], "")


def test_a_process_that_ends_early_leaves_none_behind(tmp_path: Path) -> None:
    told, wrong = _said(BEGUN, _environment(tmp_path))
    assert wrong == ""
    assert not Path(f"/proc/{told[0]}").exists()
