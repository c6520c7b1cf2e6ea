"""Small timelines for the tests of training: built by hand, or drawn by Hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from features.events import EVENTS, WITHDRAWN
from features.settings import FeaturesSettings

hypothesis_settings.register_profile("jalon", deadline=None, derandomize=True, print_blob=False)
hypothesis_settings.load_profile("jalon")

START = datetime(2024, 1, 1)
SERVICES = ("social", "employment", "housing")
CODES = (
    "ORIENTATION//DECISION//SOCIAL",
    "CONTACT//APPOINTMENT//SEEN",
    "CONTACT//APPOINTMENT//NOSHOW",
    "CONTACT//APPOINTMENT//SCHEDULED",
    "CONTACT//APPOINTMENT//REVOKED",
    "CONTACT//INVITATION//EXPIRED",
    "CONTRACT//CER//SIGNED",
    "CONTRACT//PPAE//RENEWED",
    "EMPLOYMENT//REGISTRATION//STRUCK_OFF",
    "RIGHTS//RSA//SUSPENDED",
    "RIGHTS//RSA//CLOSED",
    "EMPLOYMENT//IAE_JOB//BROKEN",
    "EMPLOYMENT//JOB//STARTED",
    "TRAINING//COURSE//ABANDONED",
    "TRAINING//APPRENTICESHIP//BROKEN",
    "TRAINING//APPRENTICESHIP//STARTED",
    "ORIENTATION//REFERRAL//ACCEPTED",
    "EXIT//PATHWAY//JOB",
    "EXIT//PATHWAY//DROPPED_OUT",
)
Row = dict[str, Any]


def table(rows: Sequence[Row]) -> pa.Table:
    """Rows with at least subject_id, time, code, recorded_at as an events table."""
    filled = [
        {"source": "social", "event_id": f"e{number}", **row} for number, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(filled, schema=EVENTS)


@pytest.fixture(scope="session")
def make_events() -> Callable[[Sequence[Row]], pa.Table]:
    return table


@pytest.fixture(scope="session")
def features() -> FeaturesSettings:
    """Three services, observed through 2024 and half of 2025."""
    source = {
        "reader": "csv",
        "person": {"system": "own", "columns": "id"},
        "tables": [
            {
                "path": "x.csv",
                "row_key": "id",
                "events": [{"code": "CONTACT//APPOINTMENT//SEEN", "recorded_at": "entered"}],
            }
        ],
    }
    return FeaturesSettings.model_validate(
        {
            "observation": {"since": "2024-01-01", "until": "2025-07-01"},
            "sources": {name: {"service": name, **source} for name in SERVICES},
        }
    )


@st.composite
def _histories(draw: st.DrawFn) -> list[Row]:
    """Events of up to three people on a grid of half days, so that ties are common."""
    rows: list[Row] = []
    for person in range(1, draw(st.integers(1, 3)) + 1):
        if draw(st.integers(0, 4)):
            rows.append(_event(draw, person, "ORIENTATION//DECISION//PRO", draw(_halves(80))))
        rows.extend(
            _event(draw, person, draw(st.sampled_from(CODES)), draw(_halves(1000)))
            for _ in range(draw(st.integers(0, 14)))
        )
    for number, row in enumerate(rows):
        row["event_id"] = f"e{number}"
    versions = []
    for row in rows:
        if not draw(st.integers(0, 5)):
            later = row["recorded_at"] + timedelta(hours=12 * draw(st.integers(1, 60)))
            change: Row = {"recorded_at": later}
            kind = draw(st.integers(0, 3))
            if kind == 0:
                change["code"] = draw(st.sampled_from((*CODES, WITHDRAWN)))
            elif kind == 1:
                change["time"] = START + timedelta(hours=12 * draw(_halves(1000)))
            versions.append({**row, **change})
    return rows + versions


def _halves(most: int) -> st.SearchStrategy[int]:
    return st.integers(0, most)


def _event(draw: st.DrawFn, person: int, code: str, half: int) -> Row:
    time = START + timedelta(hours=12 * half)
    delay = draw(st.sampled_from((0, 1, 2, 5, 40)))
    if code.endswith("SCHEDULED"):
        delay = -draw(st.sampled_from((1, 10, 40, 90)))
    text = None
    if code.startswith("RIGHTS"):
        text = draw(st.sampled_from(("GK", "ECH", "MUT")))
    elif code.startswith("ORIENTATION//REFERRAL"):
        text = draw(st.sampled_from((None, "elsewhere", *SERVICES)))
    end = None
    if code.startswith("CONTRACT") and draw(st.booleans()):
        end = time + timedelta(hours=12 * draw(st.sampled_from((20, 120, 300))))
    return {
        "subject_id": person,
        "time": time,
        "code": code,
        "text_value": text,
        "recorded_at": time + timedelta(hours=12 * delay),
        "end_time": end,
        "source": draw(st.sampled_from(SERVICES)),
    }


@pytest.fixture(scope="session")
def histories() -> st.SearchStrategy[list[Row]]:
    return _histories()


def _pathways(people: int, months: int, seed: int) -> pa.Table:
    """Pathways with a signal: frail people miss appointments, then lose contact."""
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    for person in range(1, people + 1):
        frail = random.beta(1.2, 3)
        time = START + timedelta(days=float(random.uniform(0, months * 18)))
        stop = START + timedelta(days=months * 30)
        rows.append(_made(person, "ORIENTATION//DECISION//SOCIAL", time, random))
        while True:
            time += timedelta(days=float(random.gamma(2.0, 9 + 30 * frail)))
            if time >= stop:
                break
            draw = random.random()
            if draw < 0.02:
                exits = ("JOB", "MOVED", "TRAINING")
                code = f"EXIT//PATHWAY//{exits[int(random.integers(3))]}"
                rows.append(_made(person, code, time, random))
                break
            if draw < 0.1:
                row = _made(person, "ORIENTATION//REFERRAL//ACCEPTED", time, random)
                rows.append({**row, "text_value": SERVICES[int(random.integers(3))]})
            elif draw < 0.15:
                rows.append(_made(person, "NEED//MOBILITY//RAISED", time, random))
            elif random.random() < frail:
                rows.append(_made(person, "CONTACT//APPOINTMENT//NOSHOW", time, random))
            else:
                row = _made(person, "CONTACT//APPOINTMENT//SEEN", time, random)
                rows.append({**row, "source": SERVICES[int(random.integers(3))]})
    return table(rows)


def _made(person: int, code: str, time: datetime, random: np.random.Generator) -> Row:
    time = time.replace(microsecond=0)
    late = timedelta(days=float(random.exponential(2.0)))
    return {"subject_id": person, "code": code, "time": time, "recorded_at": time + late}


GROUPS = """
      - name: contact.seen
        codes: "CONTACT//APPOINTMENT//SEEN"
        theme: contact
        label: {fr: "Rendez-vous honorés", en: "Appointments kept"}
        measures: {count: [30d, 90d], days_since_last: [all]}
      - name: contact.noshow
        codes: "CONTACT//APPOINTMENT//NOSHOW"
        theme: contact
        label: {fr: "Absences à un rendez-vous", en: "Missed appointments"}
        measures: {count: [90d], days_since_last: [all]}
      - name: orientation.referral
        codes: "ORIENTATION//REFERRAL//ACCEPTED"
        theme: orientation
        label: {fr: "Orientations acceptées", en: "Accepted referrals"}
        measures: {count: [90d], days_since_last: [all]}
      - name: needs.mobility
        codes: "NEED//MOBILITY//RAISED"
        theme: needs
        label: {fr: "Besoins de mobilité signalés", en: "Mobility needs raised"}
        measures: {count: [all]}
"""


PEERS = """
      - name: peers.contact
        codes: ["CONTACT//APPOINTMENT//SEEN", "CONTACT//APPOINTMENT//NOSHOW"]
        theme: contact
        label: {fr: "Comparaison au sein du service", en: "Compared within the service"}
        peers: service
        of: [contact.noshow.count.90d, contact.seen.days_since_last.all]
        least: 5
        measures: {rank: [all], group_size: [all], group_mean: [all]}
"""


@pytest.fixture(scope="session")
def make_territory(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Writes a small territory with timelines, not trained yet; each call makes its own."""
    from features.territory import Territory
    from features.timelines import Timelines

    def make(
        extra: str = "", *, people: int = 260, months: int = 30, groups: str = GROUPS
    ) -> Territory:
        home = tmp_path_factory.mktemp("territory")
        sources = "".join(
            f"    {name}:\n      service: {name}\n      reader: csv\n"
            "      person: {system: own, columns: id}\n"
            "      tables: [{path: x.csv, row_key: id, events: ["
            "{code: CONTACT//APPOINTMENT//SEEN, recorded_at: entered}]}]\n"
            for name in SERVICES
        )
        file = home / "small.yaml"
        file.write_text(
            "features:\n  observation: {since: 2024-01-01, until: 2026-06-01}\n"
            f"  sources:\n{sources}"
            f"  catalogue:\n    extends: none\n    groups:{groups}"
            "training:\n  bootstrap: 20\n"
            "  folds: {count: 2, test_months: 3, calibration_months: 3}\n"
            "  models:\n    threads: 1\n"
            "    lightgbm: {trees: 25, min_rows_in_leaf: 20, leaves: 7}\n" + extra,
            encoding="utf-8",
        )
        territory = Territory.open(file, home=home / "work")
        timelines = Timelines.open(territory.home / "timelines", create=True, buckets=2)
        timelines.append(_pathways(people, months, 7), label="pathways")
        return territory

    return make


@pytest.fixture(scope="session")
def trained(make_territory: Callable[..., Any]) -> tuple[Any, Any]:
    """A small territory after one training, and its report. Tests only read it."""
    from training.train import train

    territory = make_territory()
    return territory, train(territory)


@pytest.fixture(scope="session")
def trained_among_peers(make_territory: Callable[..., Any]) -> tuple[Any, Any]:
    """As `trained`, with features that compare people. Tests only read it."""
    from training.train import train

    territory = make_territory(groups=GROUPS + PEERS)
    return territory, train(territory)
