"""Make a whole set: exports of five services, and the truth apart."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from simulator import figures, layout, truth
from simulator.clock import START, day_number
from simulator.exports import known_to, write_exports
from simulator.history import run_history, run_truth
from simulator.identities import draw_identities
from simulator.outcomes import HORIZON_DAYS, rows_at_risk, sample
from simulator.people import draw, draw_world

Progress = Callable[[str, float], None]


class SimulationError(ValueError):
    """A set cannot be made: what is wrong, what was expected, what to do."""


@dataclass(frozen=True)
class Summary:
    """What a call of `simulate` made.

    Attributes:
        folder: where the set is.
        people: persons simulated.
        days: days of observation.
        files: rows written by file, relative to the folder.
        spoiled: corrections, duplicates, unknown codes and broken rows, in all.
        figures: measured figures (`figures.PUBLISHED` gives those that are published) and the AUC
        of the truth.
        seconds: time taken, by stage; empty when nothing was done.
        already_there: the folder held the same set: nothing was done.
    """

    folder: Path
    people: int
    days: int
    files: dict[str, int]
    spoiled: dict[str, int]
    figures: dict[str, float]
    seconds: dict[str, float] = field(default_factory=dict)
    already_there: bool = False


def simulate(
    folder: Path,
    *,
    people: int = 20_000,
    years: int = 3,
    seed: int = 2026,
    truth_rows: int = 6_000,
    truth_runs: int = 300,
    progress: Progress | None = None,
) -> Summary:
    """Write the demo territory's exports and the truth behind them.

    The same arguments give the same bytes. The set is made in a sibling folder and renamed, so that
    a folder never holds half a set; when it already holds the set asked for, nothing is done.

    Args:
        folder: where `exports/`, `truth/` and `simulation.json` go.
        people: persons, at least 50.
        years: years of observation from 2023-01-01, 2 to 10.
        seed: seed of everything.
        truth_rows: rows whose true probability is estimated (fewer when there are fewer at risk).
        truth_runs: forward runs a row; the standard error of a probability p is sqrt(p(1-p)/runs).
        progress: told the stage and the share done of that stage.

    Returns:
        Counts, figures and times.

    Raises:
        SimulationError: arguments out of range, or a folder that holds something else.

    >>> simulate(Path("nowhere"), people=3)
    Traceback (most recent call last):
    ...
    simulator.run.SimulationError: people is 3. Expected at least 50. Hint: pass people=400 for a
    quick set.
    """
    _check(people=people, years=years, truth_rows=truth_rows, truth_runs=truth_runs)
    folder = Path(folder)
    arguments = {
        "people": people,
        "years": years,
        "seed": seed,
        "truth_rows": truth_rows,
        "truth_runs": truth_runs,
        "process": process_digest(),
    }
    before = _found(folder)
    if before is not None and before["arguments"] == arguments:
        return _as_summary(folder, before, already_there=True)
    tell = progress or (lambda stage, share: None)
    clock = _Clock()
    folder.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    made = room / "set"
    made.mkdir()
    try:
        document = _make(made, arguments, tell, clock)
        _replace(made, folder)
    finally:
        shutil.rmtree(room, ignore_errors=True)
    summary = _as_summary(folder, document, already_there=False)
    return Summary(**{**summary.__dict__, "seconds": clock.done()})


def _make(made: Path, arguments: dict[str, Any], tell: Progress, clock: _Clock) -> dict[str, Any]:
    seed, n = arguments["seed"], arguments["people"]
    days = day_number(date(START.year + arguments["years"], 1, 1))
    world = draw_world(seed)
    people = draw(seed, n, days)
    identities = draw_identities(seed, people)
    clock.lap("people")
    history = run_history(people, world, seed, days, lambda x: tell("history", x))
    clock.lap("history")
    rows = rows_at_risk(history)
    picked = sample(rows, history, arguments["truth_rows"], seed)
    p_rupture, p_competing = run_truth(
        people,
        world,
        seed,
        picked.person,
        picked.day,
        HORIZON_DAYS * layout.DAY,
        arguments["truth_runs"],
        lambda x: tell("truth", x),
    )
    clock.lap("truth")
    files, spoiled = write_exports(made / "exports", people, history, identities, seed, tell)
    clock.lap("exports")
    measured = figures.measure(people, history) | figures.ruptures(rows)
    known = known_to(history)
    measured |= truth.write(
        made / "truth",
        identities,
        known,
        picked,
        p_rupture,
        p_competing,
        arguments["truth_runs"],
        measured,
    )
    document = {
        "arguments": arguments,
        "days": days,
        "files": files,
        "spoiled": spoiled,
        "figures": measured,
    }
    text = json.dumps(document, indent=1, ensure_ascii=False)
    (made / "simulation.json").write_text(text + "\n", encoding="utf-8")
    clock.lap("truth files")
    return document


def _check(**numbers: int) -> None:
    lowest = {"people": 50, "years": 2, "truth_rows": 0, "truth_runs": 1}
    hint = {
        "people": "pass people=400 for a quick set",
        "years": "pass years=3",
        "truth_rows": "pass truth_rows=50 for a quick set",
        "truth_runs": "pass truth_runs=20 for a quick set",
    }
    faults = [
        f"{name} is {value}. Expected at least {lowest[name]}. Hint: {hint[name]}."
        for name, value in numbers.items()
        if value < lowest[name]
    ]
    if numbers["years"] > 10:
        faults.append(f"years is {numbers['years']}. Expected at most 10. Hint: pass years=3.")
    if faults:
        raise SimulationError(" ".join(faults))


def _found(folder: Path) -> dict[str, Any] | None:
    """The description of the set a folder holds, None for a folder that is absent or empty."""
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise SimulationError(
            "folder: what is there is not a folder. Expected a folder, or nothing. "
            "Hint: choose another path."
        )
    described = folder / "simulation.json"
    if described.exists():
        found: dict[str, Any] = json.loads(described.read_text(encoding="utf-8"))
        return found
    if any(folder.iterdir()):
        raise SimulationError(
            "folder: it holds files and no simulation.json. Expected an empty folder or a "
            "simulated set. Hint: choose another folder, or empty this one."
        )
    return None


def _replace(made: Path, folder: Path) -> None:
    """Put a finished set in place of what was there."""
    if folder.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
        os.replace(folder, old / "set")
        os.replace(made, folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.replace(made, folder)


def _as_summary(folder: Path, document: dict[str, Any], *, already_there: bool) -> Summary:
    return Summary(
        folder=folder,
        people=document["arguments"]["people"],
        days=document["days"],
        files=document["files"],
        spoiled=document["spoiled"],
        figures=document["figures"],
        already_there=already_there,
    )


def process_digest() -> str:
    """Digest of the simulator's own code: another process makes another set."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.start = self.last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps[stage] = round(now - self.last, 2)
        self.last = now

    def done(self) -> dict[str, float]:
        return self.laps | {"total": round(time.perf_counter() - self.start, 2)}
