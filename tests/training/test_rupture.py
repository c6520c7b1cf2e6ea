"""The seven rules against a slow reference written from their text, and on cases worked by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.settings import FeaturesSettings
from training.rupture import onsets
from training.settings import TrainingSettings

ALL = ["R1", "R2", "R3", "R4", "R5", "R6", "R7"]
EVERY_RULE = TrainingSettings.model_validate({"rupture": {"first_of": ALL}})
SEEN = "CONTACT//APPOINTMENT//SEEN"
MISSED = "CONTACT//APPOINTMENT//NOSHOW"
OPEN = "ORIENTATION//DECISION//SOCIAL"
UNTIL = datetime(2025, 6, 30, 22)
SUSPENDED = {"06", "70", "CG", "CV", "DL", "DM", "GJ", "GK", "GL"}


def days(n: float) -> timedelta:
    return timedelta(days=n)


def newest(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    planned = frame[frame["code"] == "CONTACT//APPOINTMENT//SCHEDULED"]
    first = {event: rows["recorded_at"].min() for event, rows in planned.groupby("event_id")}
    frame = frame.sort_values("recorded_at").groupby("event_id", sort=False).tail(1)
    return frame.assign(entered=[first.get(event) for event in frame["event_id"]])


def reference(rows: list[dict[str, Any]]) -> list[tuple[int, datetime, str]]:
    """Onsets of R1 to R7, rule by rule, straight from their definitions."""
    if not rows:
        return []
    found: set[tuple[int, datetime, str]] = set()
    frame = newest(rows)
    for person, events in frame.groupby("subject_id"):
        found |= {(int(person), at, rule) for at, rule in one_person(events)}
    return sorted(found, key=lambda f: (f[0], f[1], ALL.index(f[2])))


def one_person(events: pd.DataFrame) -> set[tuple[datetime, str]]:
    e = [r._asdict() for r in events.itertuples()]

    def of(*codes: str) -> list[dict[str, Any]]:
        return [r for r in e if any(r["code"].startswith(c) for c in codes)]

    decisions = [r["time"] for r in of("ORIENTATION//DECISION//")]
    if not decisions:
        return set()
    opened = min(decisions)
    closed = min(
        (r["time"] for r in of("EXIT//PATHWAY//") if r["time"] >= opened), default=datetime.max
    )
    seen = [r["time"] for r in of(SEEN)]
    onset: list[tuple[datetime, bool, str]] = []
    for r in of(MISSED):
        s = r["time"]
        last = max((u for u in seen if u < s), default=datetime.min)
        count = sum(s - days(90) < m["time"] <= s and m["time"] > last for m in of(MISSED))
        if count >= 2:
            onset.append((s, False, "R1"))
    for r in of("CONTACT//INVITATION//EXPIRED"):
        s, stop = r["time"], r["time"] + days(30)
        answered = any(s <= u < stop for u in seen)
        answered |= any(s <= p["entered"] < stop for p in of("CONTACT//APPOINTMENT//SCHEDULED"))
        if not answered:
            onset.append((stop, True, "R2"))
    contracts = [r for r in of("CONTRACT//") if r["code"].endswith(("SIGNED", "RENEWED"))]

    def covered(start: datetime, others: list[dict[str, Any]]) -> bool:
        return any(
            c["time"] < start + days(60) and (pd.isna(c["end_time"]) or c["end_time"] > start)
            for c in others
        )

    onset += [(s + days(60), True, "R3") for s in decisions if not covered(s, contracts)]
    for r in contracts:
        others = [c for c in contracts if c is not r]
        if not pd.isna(r["end_time"]) and not covered(r["end_time"], others):
            onset.append((r["end_time"] + days(60), True, "R3"))
    onset += [(r["time"], False, "R3") for r in of("EMPLOYMENT//REGISTRATION//STRUCK_OFF")]
    for r in of("RIGHTS//RSA//SUSPENDED", "RIGHTS//RSA//PAYMENT_SUSPENDED"):
        if r["text_value"] in SUSPENDED:
            onset.append((r["time"], False, "R4"))
    for r in of("RIGHTS//RSA//CLOSED"):
        if r["text_value"] in {"ECH", "RAU", "PCG"}:
            onset.append((r["time"], False, "R4"))
    onset += [(r["time"], False, "R5") for r in of("EMPLOYMENT//IAE_JOB//BROKEN")]
    for broken, answer, wait in (
        ("TRAINING//COURSE//ABANDONED", "EMPLOYMENT//JOB//STARTED", 30),
        ("TRAINING//APPRENTICESHIP//BROKEN", "TRAINING//APPRENTICESHIP//STARTED", 180),
    ):
        for r in of(broken):
            stop = r["time"] + days(wait)
            if not any(r["time"] <= a["time"] < stop for a in of(answer)):
                onset.append((stop, True, "R5"))
    for r in of("ORIENTATION//REFERRAL//ACCEPTED", "ORIENTATION//REORIENTATION//ACCEPTED"):
        s, stop = r["time"], r["time"] + days(45)
        to = r["text_value"]

        def caught(u: dict[str, Any], r: dict[str, Any] = r, to: Any = to) -> bool:
            return u["source"] != r["source"] if pd.isna(to) else u["source"] == to

        if not any(s <= u["time"] < stop and caught(u) for u in of(SEEN)):
            onset.append((stop, True, "R6"))
    for since in {opened, *(u for u in seen if u > opened)}:
        if not any(since < u < since + days(120) for u in seen):
            onset.append((since + days(120), True, "R7"))
    onset += [
        (r["time"], False, "R7")
        for r in of("EXIT//PATHWAY//DROPPED_OUT", "EXIT//PATHWAY//NO_SOLUTION")
    ]
    return {
        (at, rule)
        for at, waited, rule in onset
        if opened <= at and at < UNTIL and (at < closed if waited else at <= closed)
    }


def found(
    events: pa.Table, features: FeaturesSettings, task: TrainingSettings = EVERY_RULE
) -> list[tuple[int, datetime, str]]:
    rows = onsets(events, task, features).to_pylist()
    return [(r["subject_id"], r["onset_time"], r["onset_rule"]) for r in rows]


@settings(max_examples=150)
@given(data=st.data())
def test_onsets_equal_the_reference(
    data: st.DataObject,
    histories: st.SearchStrategy[list[dict[str, Any]]],
    make_events: Callable[[Any], pa.Table],
    features: FeaturesSettings,
) -> None:
    rows = data.draw(histories)
    ours = found(make_events(rows), features)
    assert list(dict.fromkeys(ours)) == reference(rows)


def person(*lines: tuple[str, datetime] | dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for line in lines:
        row = line if isinstance(line, dict) else {"code": line[0], "time": line[1]}
        rows.append({"subject_id": 7, "recorded_at": row["time"], **row})
    return rows


D = datetime
OPENED = (OPEN, D(2024, 1, 1))
REFERRED = {
    "code": "ORIENTATION//REFERRAL//ACCEPTED",
    "time": D(2024, 2, 1),
    "text_value": "housing",
}
LEFT = ("TRAINING//COURSE//ABANDONED", D(2024, 2, 1))


@pytest.mark.parametrize(
    ("rule", "lines", "expected"),
    [
        # Two absences 89 days apart count, 90 do not; REVOKED never counts.
        ("R1", [(MISSED, D(2024, 1, 2)), (MISSED, D(2024, 3, 31))], [D(2024, 3, 31)]),
        ("R1", [(MISSED, D(2024, 1, 2)), (MISSED, D(2024, 4, 1))], []),
        ("R1", [(MISSED, D(2024, 1, 2)), (SEEN, D(2024, 1, 3)), (MISSED, D(2024, 1, 9))], []),
        ("R1", [(MISSED, D(2024, 1, 2)), ("CONTACT//APPOINTMENT//REVOKED", D(2024, 1, 9))], []),
        # A referral caught on its 44th day, by the receiving service only.
        ("R6", [REFERRED, {"code": SEEN, "time": D(2024, 3, 16), "source": "housing"}], []),
        ("R6", [REFERRED, (SEEN, D(2024, 3, 1))], [D(2024, 3, 17)]),
        # Silence is counted from the opening, then from each appointment kept.
        ("R7", [(SEEN, D(2024, 2, 1)), ("EXIT//PATHWAY//JOB", D(2024, 8, 1))], [D(2024, 5, 31)]),
        ("R7", [("EXIT//PATHWAY//NO_SOLUTION", D(2024, 3, 1))], [D(2024, 3, 1)]),
        # Confirmation is cut short by the end of the pathway.
        ("R5", [LEFT, ("EXIT//PATHWAY//MOVED", D(2024, 2, 9))], []),
        ("R5", [LEFT], [D(2024, 3, 2)]),
        ("R5", [("EMPLOYMENT//IAE_JOB//BROKEN", D(2024, 2, 1))], [D(2024, 2, 1)]),
    ],
)
def test_by_hand(
    rule: str,
    lines: list[Any],
    expected: list[datetime],
    make_events: Callable[[Any], pa.Table],
    features: FeaturesSettings,
) -> None:
    task = TrainingSettings.model_validate({"rupture": {"first_of": [rule]}})
    rows = person(OPENED, *lines)
    assert [f[1] for f in found(make_events(rows), features, task)] == expected


def test_grace_of_zero_days_breaks_at_once(
    make_events: Callable[[Any], pa.Table], features: FeaturesSettings
) -> None:
    task = TrainingSettings.model_validate(
        {
            "cohort": {"closes": "TRAINING//COURSE//ABANDONED"},
            "rupture": {"first_of": ["R5"], "R5": {"course_grace_days": 0}},
        }
    )
    rows = person((OPEN, D(2024, 1, 1)), ("TRAINING//COURSE//ABANDONED", D(2024, 2, 1)))
    assert found(make_events(rows), features, task) == [(7, D(2024, 2, 1), "R5")]


def test_a_tie_goes_to_the_first_rule_named(
    make_events: Callable[[Any], pa.Table], features: FeaturesSettings
) -> None:
    rows = person(
        (OPEN, D(2024, 1, 1)),
        (MISSED, D(2024, 1, 5)),
        (MISSED, D(2024, 2, 1)),
        ("EMPLOYMENT//IAE_JOB//BROKEN", D(2024, 2, 1)),
    )
    for order in (["R1", "R5"], ["R5", "R1"]):
        task = TrainingSettings.model_validate({"rupture": {"first_of": order}})
        assert [f[2] for f in found(make_events(rows), features, task)] == order
