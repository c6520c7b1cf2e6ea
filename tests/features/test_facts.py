"""Facts in plain words, in both languages: complete, dated, never causal."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import date
from importlib.resources import files

import pytest
from babel.messages.pofile import read_po

from features.catalogue import Catalogue, build_catalogue
from features.errors import ConfigurationError
from features.facts import LANGUAGES, messages, sentence
from features.measures import MEASURES
from features.vocabulary import Vocabulary
from tests.features.timelines_at_random import every_measure, five_services

MARCH_12 = 20_159
DEFAULT = build_catalogue(five_services())


def told(name: str, value: float, lang: str, day: int | None = MARCH_12) -> str:
    return (
        sentence(DEFAULT.feature(name), value, day, lang)
        .replace("\u00a0", " ")
        .replace("\u202f", " ")
    )


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_message_is_missing_empty_or_fuzzy(lang: str) -> None:
    with (files("features") / "locale" / f"{lang}.po").open("rb") as file:
        catalog = read_po(file, locale=lang, abort_invalid=True)
    assert not [m.id for m in catalog if m.id and (not m.string or m.fuzzy)]
    assert catalog.locale_identifier == lang


def test_both_languages_have_the_same_messages_and_places() -> None:
    places = {
        lang: {key: set(re.findall(r"\{(\w+)\}", text)) for key, text in messages(lang).items()}
        for lang in LANGUAGES
    }
    assert places["fr"].keys() == places["en"].keys()
    assert places["fr"] == places["en"]


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("catalogue", [DEFAULT, every_measure()], ids=["default", "every measure"])
def test_every_feature_has_its_sentences(catalogue: Catalogue, lang: str) -> None:
    for feature in catalogue.features:
        missing = [math.nan] if MEASURES[feature.measure].missing else []
        for value in (0.0, 1.0, -3.0, 2.5, 1234.0, *missing):
            for day in (MARCH_12, None):
                if day is None and feature.measure.startswith("month_"):
                    continue
                text = sentence(feature, value, day, lang)
                assert text.startswith(feature.label[lang])
                assert "{" not in text
                assert "nan" not in text.lower()


def test_every_measure_that_can_be_missing_says_so() -> None:
    for lang in LANGUAGES:
        for name, measure in MEASURES.items():
            assert (f"{name}.missing" in messages(lang)) == (measure.missing is not None)


def test_a_unit_of_the_vocabulary_never_stands_bare() -> None:
    units = {Vocabulary.load()[code].unit for code in Vocabulary.load().codes} - {None}
    for lang in LANGUAGES:
        assert {f"unit.{unit}" for unit in units} <= messages(lang).keys()


@pytest.mark.parametrize(
    ("name", "value", "french", "english"),
    [
        (
            "contact.noshow.count.90d",
            3,
            "Absences à un rendez-vous : 3 en 90 jours (dernière fois le 12 mars 2025)",
            "Missed appointments: 3 in 90 days (latest on 12 March 2025)",
        ),
        (
            "contact.seen.days_since_last.all",
            74,
            "Rendez-vous honorés : la dernière fois il y a 74 jours (12 mars 2025)",
            "Appointments kept: 74 days since the last time (12 March 2025)",
        ),
        (
            "contact.seen.days_since_last.all",
            math.nan,
            "Rendez-vous honorés : aucun événement connu",
            "Appointments kept: no known event",
        ),
        (
            "contact.noshow_rate.share.90d",
            0.25,
            "Absences parmi les rendez-vous dont l'issue est connue : 25 % en 90 jours "
            "(dernière fois le 12 mars 2025)",
            "Share of appointments missed: 25% in 90 days (latest on 12 March 2025)",
        ),
        (
            "contract.valid.days_to_spell_end.all",
            -12,
            "Contrat d'engagement : fin prévue dépassée depuis 12 jours",
            "Commitment contract: planned end passed 12 days ago",
        ),
        (
            "needs.mobility.days_unanswered.all",
            1,
            "Besoin de mobilité sans réponse : depuis 1 jour",
            "Mobility need without an answer: for 1 day",
        ),
        (
            "social.aid.sum.365d",
            1250.4,
            "Demandes d'aide : 1 250 € en 365 jours (dernière fois le 12 mars 2025)",
            "Aid requests: €1,250 in 365 days (latest on 12 March 2025)",
        ),
        ("pathway.season.month_sin.all", 0.5, "Mois de l'année : mars", "Month of the year: March"),
    ],
)
def test_sentences(name: str, value: float, french: str, english: str) -> None:
    assert told(name, value, "fr") == french
    assert told(name, value, "en") == english


def test_the_first_of_a_month_is_an_ordinal_in_french() -> None:
    first = (date(2025, 9, 1) - date(1970, 1, 1)).days
    assert told("contact.noshow.count.90d", 2, "fr", first).endswith("le 1er septembre 2025)")
    assert told("contact.noshow.count.90d", 2, "en", first).endswith("on 1 September 2025)")


def test_a_count_of_nothing_has_no_date() -> None:
    assert told("contact.noshow.count.90d", 0, "fr") == "Absences à un rendez-vous : 0 en 90 jours"


def test_no_sentence_is_worded_as_a_cause() -> None:
    causes = r"parce|car |cause|à cause|grâce|entraîne|provoque|because|due to|leads to|owing"
    for lang in LANGUAGES:
        assert not [text for text in messages(lang).values() if re.search(causes, text)]


def test_a_measure_without_a_sentence_is_named() -> None:
    unheard = replace(DEFAULT.features[0], measure="novelty")
    with pytest.raises(ConfigurationError, match=r"'novelty' in features/locale/fr.po"):
        sentence(unheard, 1.0, None, "fr")
