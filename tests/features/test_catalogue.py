"""Catalogues: every fault at once with its remedy, frozen, hashed by what decides the values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from pydantic import ValidationError

from features.catalogue import Catalogue, build_catalogue, default_groups
from features.errors import ConfigurationError, DataError
from features.settings import CodeEntry, FeatureGroup, Label
from features.vocabulary import Vocabulary
from tests.features.timelines_at_random import five_services

SEEN = "CONTACT//APPOINTMENT//SEEN"


def group(name: str = "mine", **changes: Any) -> dict[str, Any]:
    fields = {
        "name": name,
        "codes": [SEEN],
        "theme": "contact",
        "label": {"fr": "Vus", "en": "Seen"},
        "measures": {"count": ["90d"]},
    }
    return fields | changes


def catalogue_of(*groups: dict[str, Any], extends: str = "none") -> Catalogue:
    return build_catalogue(five_services(catalogue={"extends": extends, "groups": list(groups)}))


def refusal(*groups: dict[str, Any], extends: str = "none") -> str:
    with pytest.raises(ConfigurationError) as caught:
        catalogue_of(*groups, extends=extends)
    return str(caught.value)


def test_the_default_catalogue_covers_the_domain() -> None:
    catalogue = build_catalogue(five_services())
    assert 100 <= len(catalogue) <= 150
    themes = {feature.theme for feature in catalogue.features}
    assert themes == {
        *("contact", "contract", "employment", "health", "housing", "needs", "orientation"),
        *("pathway", "rights", "services", "social", "training"),
    }
    used = {code for f in catalogue.features for code in (*f.codes, *f.among, *f.answered_by)}
    assert used <= set(Vocabulary.load().codes)


def test_the_seeds_own_two_cases_are_in_the_default_catalogue() -> None:
    catalogue = build_catalogue(five_services())
    training = catalogue.feature("services.diagnosis_without_training.days_unanswered.all")
    assert training.codes == ("SOCIAL//DIAGNOSIS//DONE",)
    assert training.answered_by == (
        "TRAINING//APPRENTICESHIP//OFFERED",
        "TRAINING//COURSE//OFFERED",
    )
    support = catalogue.feature("services.rehousing_without_support.days_unanswered.all")
    assert support.codes == ("HOUSING//REHOUSING//DONE",)
    assert support.answered_by_service == "other"


@pytest.mark.parametrize("never", ["RIGHTS//SANCTION", "ALERT//", "EXIT//"])
def test_what_may_not_be_learned_from_is_in_no_default_feature(never: str) -> None:
    for feature in build_catalogue(five_services()).features:
        codes = (*feature.codes, *feature.among, *feature.answered_by, *feature.closed_by)
        assert not [code for code in codes if code.startswith(never)]


def test_every_fault_of_every_group_is_told_at_once() -> None:
    text = refusal(
        group("a", measures={"coutn": ["90d"]}),
        group("b", codes=["CONTACT//APPOINTMENT//NOSHOWN"]),
        group("c", codes=["CONTACT//APPOINTEMENT//*"]),
        group("d", measures={"share": ["90d"], "trend": ["all"], "month_sin": ["30d"]}),
        group("e", services=["socail"]),
        group("f", measures={"days_to_next": ["all"]}),
        group("g", measures={"unanswered": ["all"]}),
        group("h", codes=[]),
        group("i", measures={"count": []}),
        group("j", among=["CONTACT//APPOINTMENT//NOSHOW"], measures={"share": ["90d"]}),
        group("k", answered_by=[SEEN], answered_by_service="other", measures={"any": ["all"]}),
    )
    for part in (
        "group 'a': unknown measure 'coutn'. Did you mean 'count'?",
        "group 'b': codes: unknown code 'CONTACT//APPOINTMENT//NOSHOWN'. "
        "Did you mean 'CONTACT//APPOINTMENT//NOSHOW'?",
        "group 'c': codes: pattern 'CONTACT//APPOINTEMENT//*' matches no code. "
        "Did you mean 'CONTACT//APPOINTMENT//",
        "group 'd': measure 'share' needs 'among'. Hint: Add 'among: [...]' to the group",
        "group 'd': 'trend' needs days. Hint: Write [90d]",
        "group 'd': 'month_sin' looks at all of it. Hint: Write [all]",
        "group 'e': unknown service 'socail'. Did you mean 'social'?",
        "group 'f': measure 'days_to_next': no code is known ahead. Hint: Those that are: "
        "CONTACT//APPOINTMENT//SCHEDULED",
        "group 'g': measure 'unanswered' needs 'answered_by'.",
        "group 'h': measure 'count' needs 'codes'.",
        "group 'i': measure 'count' has no window.",
        "group 'j': 1 code(s) are not in 'among'. Hint: Add them to 'among'",
        "group 'k': answered_by_service: other goes by person. Hint: Add 'match: person'",
    ):
        assert part in text
    assert text.startswith("building the catalogue: 13 fault(s)")


def test_two_groups_of_one_name_are_refused() -> None:
    text = refusal(group("contact.seen"), extends="default")
    assert "group 'contact.seen' is defined 2 times" in text
    assert "feature 'contact.seen.count.90d' is defined 2 times" in text


def test_no_feature_at_all_is_refused() -> None:
    assert "no feature at all. Hint: Add groups, or extends: default" in refusal()


@pytest.mark.parametrize("window", ["0d", "-3d", "d", "3", "1.5d", "3 d", "ALL"])
def test_a_window_that_is_no_number_of_days_is_refused(window: str) -> None:
    with pytest.raises(ValidationError, match="is neither days nor 'all'"):
        FeatureGroup.model_validate(group(measures={"count": [window]}))


def test_a_territory_adds_codes_and_groups() -> None:
    visit = CodeEntry(code="X//Y//Z", label=Label(fr="z", en="z"), theme="own", unit="clicks")
    settings = five_services(
        vocabulary=[visit.model_dump()],
        catalogue={"groups": [group("own", codes="X//*", measures={"sum": ["7d"]})]},
    )
    catalogue = build_catalogue(settings)
    own = catalogue.features[-1]
    assert (own.name, own.codes, own.unit) == ("own.sum.7d", ("X//Y//Z",), "clicks")
    assert len(catalogue) == len(build_catalogue(five_services())) + 1


def test_only_planned_codes_are_looked_for_ahead() -> None:
    catalogue = catalogue_of(
        group(codes="CONTACT//APPOINTMENT//*", measures={"days_to_next": ["all"], "any": ["all"]})
    )
    ahead, past = catalogue.features
    assert ahead.codes == ("CONTACT//APPOINTMENT//SCHEDULED",)
    assert len(past.codes) == 6


def test_it_is_frozen() -> None:
    catalogue = catalogue_of(group())
    with pytest.raises(FrozenInstanceError):
        catalogue.features[0].name = "other"  # type: ignore[misc]


def test_the_hash_is_of_what_decides_the_values() -> None:
    catalogue = catalogue_of(group())
    first = catalogue.features[0]
    told = Catalogue((replace(first, label={"fr": "x", "en": "y"}, theme="z"),))
    assert told.hash == catalogue.hash
    for change in (
        {"codes": ("CONTACT//APPOINTMENT//NOSHOW",)},
        {"window_days": 30},
        {"services": ("social",)},
        {"within": 3},
        {"name": "other"},
    ):
        assert Catalogue((replace(first, **change),)).hash != catalogue.hash  # type: ignore[arg-type]
    twice = catalogue_of(group("a"), group("b"))
    assert twice.hash != Catalogue(twice.features[::-1]).hash


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


def test_no_default_group_is_left_without_a_feature() -> None:
    assert {g.name for g in default_groups()} == set(build_catalogue(five_services()).groups)
