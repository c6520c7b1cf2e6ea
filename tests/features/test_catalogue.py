"""Catalogues: frozen, kept as JSON, hashed by what decides the values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from features.catalogue import Catalogue
from features.definitions import build_catalogue
from features.errors import ConfigurationError, DataError
from tests.features.test_definitions import catalogue_of, group
from tests.features.timelines_at_random import five_services


def test_it_is_frozen() -> None:
    catalogue = catalogue_of(group())
    with pytest.raises(FrozenInstanceError):
        catalogue.features[0].name = "other"  # type: ignore[misc]


def test_the_hash_is_of_what_decides_the_values() -> None:
    catalogue = catalogue_of(group())
    first = catalogue.features[0]
    told = replace(catalogue, features=(replace(first, label={"fr": "x", "en": "y"}, theme="z"),))
    assert told.hash == catalogue.hash
    for change in (
        {"codes": ("CONTACT//APPOINTMENT//NOSHOW",)},
        {"window_days": 30},
        {"services": ("social",)},
        {"within": 3},
        {"name": "other"},
        {"window_days": None, "period": "month"},
        {"anchor": ("CONTRACT//CER//SIGNED",)},
        {"value_min": 2.0},
        {"about": ("CONTRACT//CER//SIGNED",)},
        {"peers": "service"},
    ):
        changed = replace(first, **change)  # type: ignore[arg-type]
        assert replace(catalogue, features=(changed,)).hash != catalogue.hash
    twice = catalogue_of(group("a"), group("b"))
    assert twice.hash != replace(twice, features=twice.features[::-1]).hash
    assert replace(catalogue, timezone="UTC").hash != catalogue.hash
    assert replace(catalogue, service_of={"a": "b"}).hash != catalogue.hash


def test_it_comes_back_from_json_as_it_went() -> None:
    catalogue = build_catalogue(five_services())
    back = Catalogue.from_json(catalogue.to_json())
    assert back == catalogue
    assert (back.hash, back.groups, hash(back)) == (
        catalogue.hash,
        catalogue.groups,
        hash(catalogue),
    )


def test_json_that_was_changed_is_refused() -> None:
    text = catalogue_of(group()).to_json()
    with pytest.raises(DataError, match="its hash is not that of its features"):
        Catalogue.from_json(text.replace('"window_days": 90', '"window_days": 30'))
    with pytest.raises(DataError, match="got no JSON"):
        Catalogue.from_json(text[:-20])


def test_an_unknown_feature_gets_the_nearest_name() -> None:
    with pytest.raises(ConfigurationError, match=r"Did you mean 'mine.count.90d'\?"):
        catalogue_of(group()).feature("mine.coutn.90d")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"window_days": 0}, "a window of 0 days"),
        ({"window_days": -5}, "a window of -5 days"),
        ({"measure": "trend", "window_days": None}, "'trend' needs days"),
        ({"measure": "unanswered"}, "needs 'answered_by'"),
        ({"measure": "tred"}, "no measure 'tred'. Did you mean 'trend'"),
        ({"window_days": None, "period": "fortnight"}, "'fortnight' is no period"),
        ({"window_days": None, "period": "since"}, "needs 'anchor'"),
        ({"codes": ()}, "needs 'codes'"),
        ({"answered_by_service": "other"}, "goes by person"),
        ({"measure": "ahead"}, "looks at all of it"),
    ],
)
def test_definitions_in_python_are_checked_as_those_of_a_file(change: dict, fault: str) -> None:
    first = catalogue_of(group()).features[0]
    with pytest.raises(ConfigurationError, match=fault):
        Catalogue((replace(first, **change),))


def test_two_features_of_one_name_are_refused() -> None:
    first = catalogue_of(group()).features[0]
    with pytest.raises(ConfigurationError, match="defined 2 times"):
        Catalogue((first, replace(first, window_days=7)))
