"""Random timelines for property tests: ties, nulls, corrections, late entry, events on an edge."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from features.catalogue import Catalogue, Feature
from features.events import WITHDRAWN
from features.measures import MEASURES
from features.settings import FeaturesSettings

ZONE = "Europe/Paris"
CODES = ("A", "A", "A", "B", "C", "P", "P", WITHDRAWN)
SERVICES = {"s1": "north", "s2": "south", "s3": "south"}
TIMES = (
    datetime(2025, 3, 29, 23),  # 30 March 00:00 in Paris, the day that has 23 hours
    datetime(2025, 3, 30, 22),  # 31 March 00:00
    datetime(2025, 10, 26, 23),  # 27 October 00:00, after the day of 25 hours
    datetime(2025, 10, 26, 0, 30),  # 02:30 for the first time that night
    datetime(2025, 4, 5, 12, 0, 0, 1),
)
"""Prediction times."""
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
def events(draw: st.DrawFn, subjects: int = 2, most: int = 40) -> list[dict[str, Any]]:
    """Events of a few people at few instants, so that many tie.

    Versions of one event never share a recorded_at, and may move to another person.
    """
    pool = [*TIMES, *draw(st.lists(instants(), min_size=2, max_size=6))]
    when, early = st.sampled_from(pool), st.sampled_from(_EARLY)
    one = st.fixed_dictionaries(
        {
            "subject_id": st.integers(1, subjects),
            "time": st.one_of(st.none(), when, when, when),
            "code": st.sampled_from(CODES),
            "numeric_value": st.one_of(st.none(), st.integers(-8, 8).map(lambda n: n / 4)),
            "text_value": st.sampled_from([None, "north", "south", "elsewhere"]),
            "recorded_at": st.one_of(early, early, when),
            "end_time": st.one_of(st.none(), when),
            "source": st.sampled_from(["s1", "s2", "s3", "s4"]),
            "source_code": st.none(),
            "reference": st.sampled_from([None, None, "r1", "r2"]),
            "event_id": st.integers(0, 30).map(lambda n: f"e{n}"),
        }
    )
    least = draw(st.sampled_from([1, 15, 20]))
    return draw(st.lists(one, min_size=least, max_size=most, unique_by=_version))


def _version(event: dict[str, Any]) -> tuple[str, datetime]:
    return event["event_id"], event["recorded_at"]


def feature(measure: str, window: int | None, **more: Any) -> Feature:
    """A feature over the codes A, or over what is given."""
    needs = MEASURES[measure].needs
    more.setdefault("codes", () if not needs else ("P",) if "planned" in needs else ("A",))
    if "among" in needs:
        more.setdefault("among", ("A", "B", "C"))
    if "answered_by" in needs:
        more.setdefault("answered_by", ("B", "C"))
    if measure.startswith(("open_spell", "days_to_spell")):
        more.setdefault("closed_by", ("C",))
    tag = "_".join(f"{v}" for k, v in sorted(more.items()) if k not in ("among", "answered_by"))
    return Feature(
        name=f"g.{measure}.{window}.{tag}",
        group=f"g.{tag}",
        measure=measure,
        window_days=window,
        theme="theme",
        label={"fr": "Faits", "en": "Facts"},
        unit=MEASURES[measure].unit,
        **more,
    )


def every_measure() -> Catalogue:
    """Each measure in the windows it may have, with its options."""
    found = []
    for name, measure in MEASURES.items():
        windows: tuple[int | None, ...] = (None, 1, 7, 30)
        if measure.windows == "all":
            windows = (None,)
        elif measure.windows == "days":
            windows = (1, 7, 30)
        found += [feature(name, window) for window in windows]
        if measure.needs:
            found.append(feature(name, windows[-1], services=("south",)))
        if measure.needs == ("codes",):
            found.append(feature(name, windows[0], codes=("A", "B", "P")))
    for match, who in (("person", "any"), ("person", "other"), ("person", "receiving")):
        for name in ("unanswered", "days_unanswered"):
            for window, within in ((None, None), (30, None), (None, 7)):
                found.append(
                    feature(name, window, match=match, answered_by_service=who, within=within)
                )
    found.append(feature("unanswered", None, within=1))
    found.append(feature("days_to_spell_end", None, within=10))
    found.append(feature("open_spells", None, closed_by=()))
    return Catalogue(tuple(found))


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
