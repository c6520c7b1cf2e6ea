"""A person among peers as it is told: the group, its spread, and nothing of small groups."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.catalogue import Catalogue, Feature
from features.errors import DataError
from features.events import EVENTS
from features.lineage import Lineage, explain
from features.lineage_text import as_dict, lineage_lines
from features.matrix import Matrix, compute_matrix
from features.peer_groups import PeerGroups
from features.peer_standing import SHARES, Against, holds, standing
from features.peers import Keys, compare
from features.vocabulary import Vocabulary

SEEN, MISSED = "CONTACT//APPOINTMENT//SEEN", "CONTACT//APPOINTMENT//NOSHOW"
SERVICES = {"north": 40, "south": 8, "east": 13}
"""People last met by each service."""
T = datetime(2025, 3, 1)
VOCABULARY = Vocabulary.load()


def feature(measure: str, of: str | None = None, **more: Any) -> Feature:
    known: dict[str, Any] = {"peers": "service", "of": of, "least": 5} | more
    name = f"peers.{measure}.{of or 'all'}"
    label = {"fr": "Comparé", "en": "Compared"}
    return Feature(name, "peers", measure, None, "contact", label, "share", (SEEN,), **known)


COUNT = Feature("missed.count.90d", "missed", "count", 90, "contact",
                {"fr": "Absences", "en": "Absences"}, "count", (MISSED,))  # fmt: skip
GAP = Feature("met.days_since_last.90d", "met", "days_since_last", 90, "contact",
              {"fr": "Vus", "en": "Seen"}, "days", (MISSED,))  # fmt: skip
CATALOGUE = Catalogue(
    (
        COUNT,
        GAP,
        feature("rank", COUNT.name),
        feature("group_mean", COUNT.name),
        feature("group_size"),
        feature("rank", GAP.name),
    )
)
RANK = f"peers.rank.{COUNT.name}"


def everybody() -> pa.Table:
    """Person n of a service missed n mod 5 appointments and was last met by that service."""
    rows = []
    subject = 0
    for service, people in SERVICES.items():
        for place in range(people):
            subject += 1
            known = {"subject_id": subject, "source": service}
            met = T - timedelta(days=60)
            seen = {"event_id": f"s{subject}", "code": SEEN, "time": met, "recorded_at": met}
            rows.append(known | seen)
            for number in range(place % 5):
                day = T - timedelta(days=20 + number)
                missed = {"code": MISSED, "time": day, "recorded_at": day}
                rows.append(known | missed | {"event_id": f"m{subject} {number}"})
    return pa.Table.from_pylist(rows, schema=EVENTS)


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    people = sum(SERVICES.values())
    cohort = {
        "subject_id": pa.array(range(1, people + 1), pa.int64()),
        "prediction_time": pa.array([T] * people, pa.timestamp("us")),
    }
    return compute_matrix(everybody(), pa.table(cohort), CATALOGUE)


def told(matrix: Matrix, subject: int, name: str, t: datetime = T, **more: Any) -> Lineage:
    events = everybody()
    own = events.filter(pc.equal(events["subject_id"], subject))
    assert matrix.peers is not None
    return explain(own, subject, t, CATALOGUE.feature(name), CATALOGUE, peers=matrix.peers, **more)


def test_the_group_its_size_the_value_the_rank_and_the_spread_are_told(matrix: Matrix) -> None:
    found = told(matrix, 3, RANK)
    assert found.standing is not None
    assert found.value == matrix.values[2, CATALOGUE.places[RANK]]
    assert found.compared is not None
    assert (found.compared[0].name, found.compared[1]) == (COUNT.name, 2)
    group = found.standing
    assert (group.peers, group.key, group.people, group.number) == ("service", "north", 40, 40)
    assert group.since == T
    assert group.mean == 2
    values = np.sort([n % 5 for n in range(40)])
    assert group.marks == {share: values[math.ceil(40 * share) - 1] for share in SHARES}
    roles = [trace.role for trace in found.traces]
    assert roles == ["peers", "measured", "measured"]
    lines = "\n".join(lineage_lines(found, VOCABULARY, "UTC", "en"))
    for line in (
        "peers: same service: north",
        "40 people on 1 March 2025, 40 with a value",
        "rank: 0.5, from 0 (lowest) to 1 (highest)",
        "90% have at most 4",
        "groups given",
    ):
        assert line in lines


def test_days_are_told_as_days_and_a_size_has_no_spread(matrix: Matrix) -> None:
    days = "\n".join(lineage_lines(told(matrix, 3, f"peers.rank.{GAP.name}"), VOCABULARY, "UTC"))
    assert "40 personnes le 1er mars 2025, 32 avec une valeur" in days
    assert "50 % ont 20 jours ou moins" in " ".join(days.split())
    size = told(matrix, 3, "peers.group_size.all")
    assert size.value == 40
    assert size.standing is not None
    assert size.standing.marks == {}
    text = "\n".join(lineage_lines(size, VOCABULARY, "UTC", "en"))
    assert "40 people on 1 March 2025\n" in text
    assert "rank:" not in text


@pytest.mark.parametrize("name", [RANK, f"peers.group_mean.{COUNT.name}", "peers.group_size.all"])
def test_nothing_is_told_of_a_small_group_and_it_is_said_why(matrix: Matrix, name: str) -> None:
    """Eight people: more than the feature's own limit of five, fewer than the territory's."""
    subject = SERVICES["north"] + 3
    assert not np.isnan(matrix.values[subject - 1, CATALOGUE.places[name]])
    found = told(matrix, subject, name)
    assert math.isnan(found.value)
    assert found.standing is not None
    assert (found.standing.hidden, found.standing.fewest) == ("small", 11)
    assert (found.standing.people, found.standing.number, found.standing.mean) == (None, None, None)
    assert found.standing.marks == {}
    text = "\n".join(lineage_lines(found, VOCABULARY, "UTC", "en"))
    assert "not told, see the group of peers" in text
    assert "fewer than 11 people in the group: not shown, it could tell of one of them" in text
    # The person's own events are the person's own.
    assert [trace.role for trace in found.traces][:1] == ["peers"]
    content = json.dumps(as_dict(found, VOCABULARY, "UTC", "en")["peers"])
    assert '"people": null' in content
    open_ = told(matrix, subject, name, smallest=8)
    assert open_.value == matrix.values[subject - 1, CATALOGUE.places[name]]


def test_a_group_with_few_values_tells_its_size_only(matrix: Matrix) -> None:
    """Thirteen people, ten of them with a value."""
    subject = SERVICES["north"] + SERVICES["south"] + 2
    found = told(matrix, subject, f"peers.rank.{GAP.name}")
    assert found.standing is not None
    assert (found.standing.people, found.standing.hidden) == (13, "few_values")
    assert (found.standing.number, found.standing.marks) == (None, {})
    assert math.isnan(found.value)


def test_before_the_first_group_and_without_a_key_there_is_nothing_to_tell(matrix: Matrix) -> None:
    early = told(matrix, 3, RANK, T - timedelta(days=10))
    assert early.standing is not None
    assert early.standing.hidden == "no_group"
    later = told(matrix, 3, RANK, T + timedelta(days=30))
    assert later.standing is not None
    assert later.standing.since == T
    nobody = told(matrix, 10_000, RANK)
    assert nobody.standing is not None
    assert nobody.standing.hidden == "no_key"
    for found in (early, nobody):
        assert math.isnan(found.value)
        for lang in ("fr", "en"):
            assert lineage_lines(found, VOCABULARY, "UTC", lang)


def test_groups_of_another_catalogue_are_known_as_such(matrix: Matrix) -> None:
    other = CATALOGUE.feature(RANK)
    assert holds(matrix.peers, other)
    assert not holds(None, other)
    assert not holds(PeerGroups({}), other)
    assert not holds(matrix.peers, feature("rank", COUNT.name, peers="code"))
    assert not holds(matrix.peers, feature("rank", "another.count.90d"))
    assert not holds(matrix.peers, feature("rank", COUNT.name, least=2))
    with pytest.raises(DataError, match="groups made with the same catalogue"):
        explain(everybody(), 3, T, other, CATALOGUE, peers=PeerGroups({}))


@given(
    values=st.lists(st.integers(-1000, 1000), min_size=11, max_size=60, unique=True),
    smallest=st.integers(1, 11),
)
def test_no_mark_is_the_lowest_or_the_highest_value(values: list[int], smallest: int) -> None:
    """Those two are one person's; the others are never told with a name either."""
    rank = feature("rank", COUNT.name)
    rows = np.array([[value, 0] for value in values], np.float32)
    micros = np.zeros(len(values), np.int64)
    keys = [Keys.of(["north"] * len(values))]
    groups = compare(Catalogue((COUNT, rank)), rows, keys, micros, np.arange(len(values)))
    when = datetime(1970, 1, 1)
    found = standing(rank, "north", when, Against(groups), smallest=smallest)
    assert list(found.marks.values()) == sorted(found.marks.values())
    assert not {min(values), max(values)} & set(found.marks.values())
    for share, mark in found.marks.items():
        at_most = sum(value <= mark for value in values)
        assert abs(at_most - share * len(values)) < 2
