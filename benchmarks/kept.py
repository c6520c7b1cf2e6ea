"""Data that a second run finds again: timelines of the job, and the demo territory, ingested."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.job import make_events
from features.timelines import Timelines

__all__ = ["FOLDER", "SLICE", "child", "demo_home", "job_timelines"]

FOLDER = Path(os.environ.get("JALON_HOME", ".jalon")) / "bench"
SLICE = 20_000
"""People appended at once; the job's events are drawn anew for each such slice."""


def job_timelines(people: int, codes: int = 40) -> Path:
    """Folder of a Delta table with the job's events, compacted; made when it is not there."""
    folder = FOLDER / f"timelines-{people}-{codes}"
    ready = folder.with_suffix(".ready")
    if ready.exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    timelines = Timelines.open(folder, create=True)
    for first in range(1, people + 1, SLICE):
        count = min(SLICE, people + 1 - first)
        timelines.append(make_events(count, codes, first=first), label="bench")
    timelines.compact()
    ready.touch()
    return folder


def demo_home(people: int) -> Path:
    """Work folder of the demo territory with its timelines; simulated and ingested once."""
    home = FOLDER / f"demo-{people}"
    ready = home.with_suffix(".ready")
    if not ready.exists():
        shutil.rmtree(home, ignore_errors=True)
        jalon = Path(sys.executable).with_name("jalon")
        for words in (["simulate", "demo", "--people", str(people)], ["ingest", "demo"]):
            subprocess.run([jalon, *words, "--home", home], check=True, stdout=subprocess.DEVNULL)
        ready.touch()
    return home


def child(*words: object) -> dict[str, Any]:
    """What `python -m benchmarks.alone` measured in a process of its own."""
    said = subprocess.run(
        [sys.executable, "-m", "benchmarks.alone", *map(str, words)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
    return found
