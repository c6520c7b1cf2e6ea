"""Groups to features: every fault at once with its remedy, and what the default catalogue holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from features.catalogue import Catalogue
from features.definitions import build_catalogue, default_groups
from features.errors import ConfigurationError
from features.measures import MEASURES
from features.settings import CodeEntry, FeatureGroup, FeaturesSettings, Label
from features.territory import Territory
from features.vocabulary import Vocabulary
from tests.features.timelines_at_random import five_services

ROOT = Path(__file__).resolve().parents[2]
SEEN = "CONTACT//APPOINTMENT//SEEN"
CODES = (
    *("codes", "among", "closed_by", "answered_by", "followed_by"),
    *("alongside", "anchor", "about"),
)
DEFAULT = build_catalogue(five_services())


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
    catalogue = DEFAULT
    assert 380 <= len(catalogue) <= 420
    themes = {feature.theme for feature in catalogue.features}
    assert themes == {
        *("contact", "contract", "employment", "health", "housing", "needs", "orientation"),
        *("pathway", "rights", "services", "social", "training"),
    }
    used = {code for f in catalogue.features for name in CODES for code in getattr(f, name)}
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
    for feature in DEFAULT.features:
        codes = [code for name in CODES for code in getattr(feature, name)]
        assert not [code for code in codes if code.startswith(never)]


def test_no_default_feature_stands_for_nationality_nor_for_the_amount_of_a_right() -> None:
    for feature in DEFAULT.features:
        for name in CODES:
            themes = {code.split("//")[1] for code in getattr(feature, name)}
            assert themes != {"LANGUAGE"}
        if any(code.startswith("RIGHTS//RSA") for code in feature.codes):
            assert MEASURES[feature.measure].unit not in ("value", "slope")
            assert feature.value_min is None
            assert feature.value_max is None


def test_the_default_catalogue_names_no_service_and_uses_every_measure() -> None:
    assert not [f.name for f in DEFAULT.features if f.services is not None]
    assert {f.measure for f in DEFAULT.features} == set(MEASURES)
    assert {f.period for f in DEFAULT.features} >= {"since", "last_month", "quarter", None}
    assert {"about", "value_min", "alongside", "followed_by"} <= {
        name
        for f in DEFAULT.features
        for name in ("about", "value_min", "alongside", "followed_by")
        if getattr(f, name) not in ((), None)
    }


def test_two_default_features_never_say_the_same() -> None:
    """One set, window and rule is one column: names apart, all else differs."""
    fields = [name for name in DEFAULT.features[0].__dataclass_fields__ if name not in _TOLD]
    said: dict[str, str] = {}
    for feature in DEFAULT.features:
        measure = "days_since_first" if feature.measure == "tenure" else feature.measure
        key = repr([measure, *(getattr(feature, name) for name in fields)])
        assert key not in said, (feature.name, said[key])
        said[key] = feature.name


_TOLD = ("name", "group", "measure", "theme", "label", "unit", "direction")


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
    assert text.startswith("building the catalogue: 1 fault(s)")
    assert "group 'contact.seen' is defined 2 times, once in the default catalogue" in text
    assert "Hint: Rename your own, or set 'extends: none'" in text
    text = refusal(group("a"), group("a"))
    assert "group 'a' is defined 2 times. Hint: Rename one, or put" in text
    assert "extends" not in text
    # Two groups that come to the same name of a feature.
    text = refusal(group("a", each=True), group("a.contact_appointment_seen"))
    assert "feature 'a.contact_appointment_seen.count.90d' is defined 2 times. Hint: Rename" in text


def test_a_fault_of_a_territory_file_names_its_line(tmp_path: Path) -> None:
    text = (ROOT / "territories" / "demo" / "territory.yaml").read_text(encoding="utf-8")
    raw = yaml.safe_load(text)
    groups = (
        "    groups:\n"
        "      - name: mine.seen\n"
        "        codes: CONTACT//APPOINTMENT//SEN\n"
        "        theme: contact\n"
        "        label: {fr: Vus, en: Seen}\n"
        "        measures:\n"
        "          count: [90d]\n"
        "          sequences: [all]\n"
    )
    assert "catalogue" not in raw["features"]
    file = tmp_path / "territory.yaml"
    file.write_text(text.replace("features:\n", f"features:\n  catalogue:\n{groups}", 1), "utf-8")
    lines = file.read_text(encoding="utf-8").splitlines()
    settings = Territory.open(file).section("features", FeaturesSettings)
    with pytest.raises(ConfigurationError) as raised:
        build_catalogue(settings)
    said = str(raised.value)
    for key, fault in (
        ("codes: CONTACT//APPOINTMENT//SEN", "group 'mine.seen': codes: unknown code"),
        ("sequences: [all]", "group 'mine.seen': measure 'sequences' needs 'within'"),
    ):
        number = 1 + next(n for n, line in enumerate(lines) if key in line)
        assert f"{file}:{number}: {fault}" in said
    assert "?." not in said


def test_no_feature_at_all_is_refused() -> None:
    assert "no feature at all. Hint: Add groups, or extends: default" in refusal()


@pytest.mark.parametrize("window", ["0d", "-3d", "d", "3", "1.5d", "3 d", "ALL"])
def test_a_window_that_is_no_number_of_days_is_refused(window: str) -> None:
    with pytest.raises(ValidationError, match="is neither days, a period nor 'all'"):
        FeatureGroup.model_validate(group(measures={"count": [window]}))


def test_a_window_since_needs_its_anchor_and_a_comparison_its_feature() -> None:
    text = refusal(
        group("a", measures={"count": ["since"]}),
        group("b", measures={"rank": ["all"], "group_size": ["all"]}),
        group("c", peers="service", of=["a.count.90d"], measures={"rank": ["all"]}),
        group("d", peers="service", of=["c.rank.a.count.90d"], measures={"rank": ["90d"]}),
        group("e", measures={"sequences": ["all"], "overlap": ["all"], "trend": ["month"]}),
    )
    for part in (
        "group 'a': window 'since' needs 'anchor'. Hint: Add 'anchor: [...]' to the group",
        "group 'b': measure 'rank' needs 'peers'. Hint: Add 'peers: service' to the group",
        "group 'b': measure 'rank' needs 'of'. Hint: Add 'of: [name of a feature]' to the group",
        "group 'c': of: no feature 'a.count.90d'. Did you mean '",
        "group 'd': 'rank' looks at all of it. Hint: Write [all]",
        "group 'd': of: 'c.rank.a.count.90d' compares peers itself. Hint: Name another",
        "group 'e': measure 'sequences' needs 'followed_by'.",
        "group 'e': measure 'sequences' needs 'within'. Hint: Add 'within: 30' to the group",
        "group 'e': measure 'overlap' needs 'alongside'.",
        "group 'e': 'trend' needs days. Hint: Write [90d]",
    ):
        assert part in text, part


@pytest.mark.parametrize(
    ("range_", "said"),
    [({}, "neither min nor max"), ({"min": 5, "max": 5}, "no value lies from min to max")],
)
def test_a_range_that_holds_nothing_is_refused(range_: dict[str, float], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        FeatureGroup.model_validate(group(value=range_))


def test_one_group_of_each_code_a_domain_and_periods() -> None:
    catalogue = catalogue_of(
        group("each", codes="NEED//M*//RAISED", label=None, each=True),
        group("rights", codes=[], domain="RIGHTS", measures={"count": ["last_month", "since"]})
        | {"anchor": "ORIENTATION//DECISION//*"},
    )
    assert catalogue.names == (
        "each.need_mobility_raised.count.90d",
        "each.need_money_raised.count.90d",
        "rights.count.last_month",
        "rights.count.since",
    )
    first, _, month, since = catalogue.features
    assert first.label["fr"] == "Besoin mobilité : signalé"
    assert (month.period, month.window_days, month.anchor) == ("last_month", None, ())
    assert {code.split("//")[0] for code in month.codes} == {"RIGHTS"}
    assert {code.split("//")[1] for code in since.anchor} == {"DECISION"}


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


def test_no_default_group_is_left_without_a_feature() -> None:
    assert {g.name for g in default_groups()} == set(build_catalogue(five_services()).groups)
