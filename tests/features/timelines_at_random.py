"""Random timelines for property tests: ties, nulls, corrections, late entry, events on an edge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from features.catalogue import Catalogue, Feature
from features.events import WITHDRAWN
from features.measures import MEASURES, PEER_OPS
from features.settings import FeaturesSettings

ZONE = "Europe/Paris"
CODES = (*"AAAAABBBBCCCPPP", WITHDRAWN)
SERVICES = {"s1": "north", "s2": "south", "s3": "south"}
TIMES = (
    datetime(2025, 3, 29, 23),  # 30 March 00:00 in Paris, the day that has 23 hours
    datetime(2025, 3, 30, 22),  # 31 March 00:00
    datetime(2025, 10, 26, 23),  # 27 October 00:00, after the day of 25 hours
    datetime(2025, 10, 26, 0, 30),  # 02:30 for the first time that night
    datetime(2025, 4, 5, 12, 0, 0, 1),
)
"""Prediction times."""
OWN = tuple(name for name, measure in MEASURES.items() if measure.op not in PEER_OPS)
"""Measures that look at one person alone."""
SPELLS = ("open_spells", "open_spell_age", "days_to_spell_end", "overlap")
DAYS: tuple[int | str | None, ...] = (1, 7, 30)
WINDOWS: tuple[int | str | None, ...] = (
    *(None, 1, 7, 30, "since", "week", "month", "quarter", "year"),
    *("last_week", "last_month", "last_quarter", "last_year"),
)
OPTIONS: tuple[dict[str, Any], ...] = (
    {"services": ("south",)},
    {"value_min": 0.25},
    {"value_max": 0.1},
    {"value_min": -1.0, "value_max": 1.0, "services": ("north", "south")},
    {"about": ("B",)},
    {"about": ("C", "P"), "value_min": 0.0},
)
EXACT = tuple(n / 4 for n in range(-8, 9))
"""Values whose sums are exact in any order."""
INEXACT = (*EXACT, 0.1, 0.7, 1e-8, 1e8, -1e8, 3e-30)
"""Values whose sums depend on their order."""
_SHIFTS = [0, -1, -2, -7, -10, -14, -30, -60, -200, 1, 3, 40]
_STEPS = [0, 0, 1, -1, 7 * 86_400_000_000, -3_600_000_000]
_EARLY = [datetime(2024, 1, 1), datetime(2024, 1, 2), datetime(2024, 6, 1)]


def instants() -> st.SearchStrategy[datetime]:
    """Instants at, just beside, and some days around prediction times and the edges of windows."""
    return st.builds(
        lambda base, days, step: base + timedelta(days=days, microseconds=step),
        st.sampled_from(TIMES),
        st.sampled_from(_SHIFTS),
        st.sampled_from(_STEPS),
    )


@st.composite
def events(
    draw: st.DrawFn,
    subjects: int = 2,
    most: int = 60,
    values: Sequence[float] = EXACT,
) -> list[dict[str, Any]]:
    """Events of a few people at few instants, so that many tie; some stand twice.

    Versions of one event that differ never share a recorded_at, and may move to another person.
    """
    pool = [*TIMES, *draw(st.lists(instants(), min_size=4, max_size=10))]
    # Three numbers for each event, not eleven draws: several times quicker.
    one = st.builds(
        lambda when, what, about: when | what | about,
        _mixed(time=[None, *pool, *pool], recorded_at=[*_EARLY, *pool], end_time=[None, *pool]),
        _mixed(
            subject_id=range(1, subjects + 1),
            code=CODES,
            numeric_value=[None, *values],
            source=["s1", "s2", "s3", "s4"],
        ),
        _mixed(
            text_value=[None, "north", "south", "elsewhere"],
            source_code=[None],
            reference=[None, "r1", "r2", "r3"],
            event_id=[f"e{n}" for n in range(most)],
        ),
    )
    least = min(draw(st.sampled_from([1, most // 3, most // 2, most // 2])), most)
    lines = draw(st.lists(one, min_size=least, max_size=most, unique_by=_version))
    again = draw(st.lists(st.sampled_from(lines), max_size=2))
    return [*lines, *again]


def _mixed(**choices: Sequence[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """One of each of some choices, drawn as a single number."""

    def chosen(number: int) -> dict[str, Any]:
        found = {}
        for name, some in choices.items():
            number, place = divmod(number, len(some))
            found[name] = some[place]
        return found

    return st.integers(0, math.prod(map(len, choices.values())) - 1).map(chosen)


def _version(event: dict[str, Any]) -> tuple[str, datetime]:
    return event["event_id"], event["recorded_at"]


def feature(measure: str, window: int | str | None, **more: Any) -> Feature:
    """A feature over the codes A, or over what is given; `window` in days, or a period's name."""
    needs = MEASURES[measure].needs
    more.setdefault("codes", () if not needs else ("P",) if "planned" in needs else ("A",))
    tag = "_".join(f"{v}" for k, v in sorted(more.items()) if k not in ("among", "answered_by"))
    if "among" in needs:
        more.setdefault("among", ("A", "B", "C"))
    if "answered_by" in needs:
        more.setdefault("answered_by", ("B", "C"))
    if "alongside" in needs:
        more.setdefault("alongside", ("B",))
    if "followed_by" in needs:
        more.setdefault("followed_by", ("B",))
        more.setdefault("within", 7)
    if window == "since":
        more.setdefault("anchor", ("P",))
    if measure in SPELLS:
        more.setdefault("closed_by", ("C",))
    return Feature(
        name=f"g.{measure}.{window}.{tag}",
        group=f"g.{tag}",
        measure=measure,
        window_days=window if isinstance(window, int) else None,
        period=window if isinstance(window, str) else None,
        theme="theme",
        label={"fr": "Faits", "en": "Facts"},
        unit=MEASURES[measure].unit,
        **more,
    )


def _windows(measure: str) -> tuple[int | str | None, ...]:
    kind = MEASURES[measure].windows
    return DAYS if kind == "days" else WINDOWS if kind == "any" else (None,)


def _catalogue(found: list[Feature]) -> Catalogue:
    return Catalogue(tuple(dict.fromkeys(found)), ZONE, SERVICES)


def every_measure() -> Catalogue:
    """Each measure but those among peers, in every kind of window it may have."""
    return _catalogue([feature(name, window) for name in OWN for window in _windows(name)])


def every_option() -> Catalogue:
    """Each measure with services, ranges of values and references; answers of every kind.

    Columns that differ in one option alone stand side by side, so that a result kept for one and
    given to the other shows.
    """
    found = []
    for name in OWN:
        if not MEASURES[name].needs:
            continue
        windows, options = _windows(name), [*OPTIONS]
        if "planned" not in MEASURES[name].needs:
            about = {"codes": ("A", "B"), "about": ("P", "C")}
            found.append(feature(name, windows[0], **about))
            options += [{"codes": ("A", "B", "P")}, about]
        for place, more in enumerate(options):
            # Another window for each measure and option, so that together they meet them all.
            window = windows[(3 * place + MEASURES[name].op) % len(windows)]
            found.append(feature(name, window, **more))
        if {"answered_by", "followed_by"} & set(MEASURES[name].needs):
            found += _answers(name)
        found += _spells(name) if name in SPELLS else []
    return _catalogue(found)


def _answers(name: str) -> list[Feature]:
    kinds: list[dict[str, Any]] = [{}, {"match": "person"}]
    days: tuple[int | None, ...] = (1, 7, 30)
    if "answered_by" in MEASURES[name].needs:
        kinds += [{"match": "person", "answered_by_service": who} for who in ("other", "receiving")]
        days = (None, 1, 7)
    one_way = [(kind, within) for kind in kinds for within in days]
    other_way = [(kind, within) for within in days for kind in kinds]
    return [
        feature(name, window, codes=codes, within=within, **kind)
        for codes, window, ways in (
            (("A",), None, one_way),
            (("A", "B", "C"), 30, other_way),
            (("A",), "last_month", other_way),
        )
        for kind, within in ways
    ]


def _spells(name: str) -> list[Feature]:
    found = [feature(name, None, within=within) for within in (1, 2, 7, 10, 30)]
    found += [
        feature(name, window, closed_by=closed_by)
        for window in (None, 30, "last_month")
        for closed_by in ((), ("B", "C"), ("C",))
    ]
    return [*found, feature(name, None, codes=("A", "C"))]


def five_services(**changes: Any) -> FeaturesSettings:
    """The least `features:` section with five services; `changes` are further keys of it."""
    table = {
        "path": "*.csv",
        "row_key": "id",
        "events": [{"code": "CONTACT//APPOINTMENT//SEEN", "recorded_at": "entered"}],
    }
    sources = {
        name: {
            "service": name,
            "reader": "csv",
            "person": {"system": name, "columns": "id"},
            "tables": [table],
        }
        for name in ("social", "employment", "health", "housing", "training")
    }
    section = {"observation": {"since": "2024-01-01", "until": "2026-01-01"}, "sources": sources}
    return FeaturesSettings.model_validate(section | changes)
