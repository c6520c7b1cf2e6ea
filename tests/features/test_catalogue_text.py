"""What is said of features: complete in both languages, down to the tables, and in the docs."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from features.catalogue_text import (
    PHRASES,
    describe,
    described_lines,
    listing,
    measures_table,
    say,
)
from features.code_sources import sources_of
from features.definitions import build_catalogue
from features.errors import ConfigurationError
from features.facts import LANGUAGES
from features.measures import MEASURES
from features.settings import FeatureGroup, FeaturesSettings
from features.territory import Territory
from features.vocabulary import Vocabulary
from features.windows import closed

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
SETTINGS = Territory.open("demo").section("features", FeaturesSettings)
CATALOGUE = build_catalogue(SETTINGS)
VOCABULARY = Vocabulary.load(SETTINGS.vocabulary)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_feature_is_described_whole(lang: str) -> None:
    for feature in CATALOGUE.features:
        found = describe(feature, VOCABULARY, SETTINGS, lang)
        for key in ("theme", "says", "rule", "window", "unit", "missing", "direction"):
            assert found[key]
        told = {code["code"] for codes in found["events"].values() for code in codes}
        assert told >= {*feature.codes, *feature.among, *feature.answered_by, *feature.anchor}
        text = "\n".join(described_lines(found, lang))
        assert found["rule"] in text
        assert "{" not in text


def test_a_code_leads_to_the_tables_and_columns_it_is_read_from() -> None:
    code = "CONTACT//APPOINTMENT//NOSHOW"
    found = sources_of({code}, SETTINGS)[code]
    assert {one.service for one in found} == set(SETTINGS.services)
    social = next(one for one in found if one.source == "social")
    assert social.table == "social/rendez_vous.csv"
    assert social.where == ("date_statut present", "statut = ABS")
    assert social.columns["recorded_at"] == "date_statut"


def test_a_rank_has_no_window_of_its_own_and_french_is_french_throughout() -> None:
    rank = CATALOGUE.feature("peers.noshow.rank.contact.noshow.count.90d")
    found = describe(rank, VOCABULARY, SETTINGS, "en")
    assert found["window"] == "that of the compared feature"
    assert found["compares"] == "contact.noshow.count.90d"
    size = CATALOGUE.feature("peers.caseload.group_size.all")
    assert describe(size, VOCABULARY, SETTINGS, "en")["window"] == "at that date"
    text = "\n".join(described_lines(describe(rank, VOCABULARY, SETTINGS, "fr"), "fr"))
    assert "celle de la variable comparée" in text
    assert "(date_statut rempli, statut = HON); date : date_rdv, connu le : date_statut" in text
    for english in ("recorded_at", "present", "reference"):
        assert english not in text


def test_most_of_the_demo_s_codes_have_a_source_and_the_others_say_they_have_none() -> None:
    named = {code for feature in CATALOGUE.features for code in feature.codes}
    found = sources_of(named, SETTINGS)
    assert len(found) > 60
    without = next(f for f in CATALOGUE.features if not set(f.codes) & set(found) and f.codes)
    lines = described_lines(describe(without, VOCABULARY, SETTINGS, "en"), "en")
    assert any("no source of this territory" in line for line in lines)


def test_features_are_listed_by_theme_group_and_text() -> None:
    assert len(listing(CATALOGUE, VOCABULARY)) == len(CATALOGUE)
    by_word = listing(CATALOGUE, VOCABULARY, "en", theme="housing")
    assert by_word == listing(CATALOGUE, VOCABULARY, "en", theme="Housing")
    assert {row["theme"] for row in by_word} == {"Housing"}
    group = listing(CATALOGUE, VOCABULARY, "en", group="housing.arrears", search="SLOPE")
    assert [row["name"] for row in group] == ["housing.arrears.slope.365d"]
    with pytest.raises(ConfigurationError, match=r"Did you mean 'housing.arrears'\?"):
        listing(CATALOGUE, VOCABULARY, group="housing.arears")


def test_every_measure_has_its_phrase_and_every_rule_its_translation() -> None:
    assert PHRASES.keys() == MEASURES.keys()
    for measure in MEASURES.values():
        for text in (measure.rule, measure.missing):
            if text is not None:
                assert say(text, "fr") != text
                # What stands in code marks is a name of the territory file: the same in both.
                marks = r"`[a-z_]+(?:: [a-z]+)?`"
                assert sorted(re.findall(marks, text)) == sorted(re.findall(marks, say(text, "fr")))
    with pytest.raises(ConfigurationError, match="Expected fr or en"):
        say("how many", "de")


def test_no_translation_is_empty_fuzzy_or_left_over() -> None:
    with (files("features") / "locale" / "catalogue.fr.po").open("rb") as file:
        catalog = read_po(file, locale="fr", abort_invalid=True)
    assert not [m.id for m in catalog if m.id and (not m.string or m.fuzzy)]
    rules = {text for m in MEASURES.values() for text in (m.rule, m.missing)}
    names = ("catalogue_text", "lineage_text", "standing_text", "lineage", "questions", "settings")
    code = "\n".join(
        (ROOT / "features" / f"{name}.py").read_text(encoding="utf-8") for name in names
    )
    for message in catalog:
        if message.id and message.id not in rules:
            assert f'"{message.id}"' in code or f"'{message.id}'" in code, message.id


def test_the_docs_hold_the_table_of_measures_every_field_and_every_window() -> None:
    assert measures_table() in DOCS, "put features.catalogue_text.measures_table() into the docs"
    for field in FeatureGroup.model_fields:
        assert f"| `{field}` |" in DOCS, field
    windows = ["all", "since"]
    windows += [f"{last}{unit}" for last in ("", "last_") for unit in _UNITS]
    assert [closed(window) for window in windows].count(True) == len(_UNITS)
    for window in windows:
        assert f"`{window}`" in DOCS


_UNITS = ("week", "month", "quarter", "year")


def test_the_docs_show_what_the_commands_say() -> None:
    for name in ("housing.arrears.slope.365d",):
        found = describe(CATALOGUE.feature(name), VOCABULARY, SETTINGS, "en")
        for line in described_lines(found, "en"):
            assert line in DOCS
    for row in listing(CATALOGUE, VOCABULARY, "en", group="contact.missed_since_seen"):
        assert f"  {row['name']}  {row['says']}".replace("\u00a0", " ") in DOCS.replace(
            "\u00a0", " "
        )


def test_the_group_of_the_docs_is_one_that_a_territory_may_write() -> None:
    import yaml

    text = DOCS.split("```yaml\n")[1].split("```")[0]
    section = SETTINGS.model_dump(mode="json") | yaml.safe_load(text)
    catalogue = build_catalogue(FeaturesSettings.model_validate(section))
    assert "housing.large_arrears.count.last_quarter" in catalogue.places
