"""Facts in plain words, in both languages: complete, dated, never causal."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import date
from importlib.resources import files
from typing import Any

import pytest
from babel.messages.pofile import read_po

from features.catalogue import Catalogue, Feature
from features.definitions import build_catalogue
from features.errors import ConfigurationError
from features.facts import LANGUAGES, messages, sentence
from features.measures import MEASURES, PEER_OPS
from features.vocabulary import Vocabulary
from tests.features.timelines_at_random import five_services

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


def every_measure_and_window() -> Catalogue:
    """Each measure in each window that the territory file can name, and each kind of peers."""
    code = "CONTRACT//CER//SIGNED"
    names = ["week", "month", "quarter", "year"]
    periods = ["since", *names, *(f"last_{name}" for name in names)]
    found = []
    for name, measure in MEASURES.items():
        every = [None, 1, 90, *periods]
        windows: list[Any] = {"days": [1, 90], "any": every}.get(measure.windows, [None])
        for peers in (
            ("code", "service", "reference", "text_value") if measure.op in PEER_OPS else [None]
        ):
            for window in windows:
                days = window if isinstance(window, int) else None
                one = Feature(
                    name=f"g.{name}.{window}.{peers}",
                    group="g",
                    measure=name,
                    window_days=days,
                    theme="contract",
                    label={"fr": "Contrats", "en": "Contracts"},
                    unit=measure.unit,
                    codes=(code,) if measure.needs else (),
                    among=(code,) if "among" in measure.needs else (),
                    answered_by=(code,) if "answered_by" in measure.needs else (),
                    followed_by=(code,) if "followed_by" in measure.needs else (),
                    alongside=(code,) if "alongside" in measure.needs else (),
                    within=30,
                    period=window if isinstance(window, str) else None,
                    anchor=(code,) if window == "since" else (),
                    peers=peers,
                    of="seen.days_since_last.all" if peers else None,
                )
                found += [one, replace(one, name=f"{one.name}.ranged", value_min=1.0)]
    return Catalogue(tuple(found))


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(
    "catalogue", [DEFAULT, every_measure_and_window()], ids=["default", "every measure"]
)
def test_every_feature_has_its_sentences(catalogue: Catalogue, lang: str) -> None:
    for feature in catalogue.features:
        start = f"{feature.label[lang]}{' : ' if lang == 'fr' else ': '}"
        for value in (0.0, 1.0, 3.5, -2.0, 1234.0, math.nan):
            for day in (MARCH_12, None):
                text = sentence(feature, value, day, lang)
                assert text.startswith(start)
                assert len(text) > len(start)
                assert "{" not in text
                assert "nan" not in text.lower().split()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_missing_value_is_never_told_as_nought(lang: str) -> None:
    for feature in (*DEFAULT.features, *every_measure_and_window().features):
        if feature.measure.startswith("month_"):
            continue
        text = sentence(feature, math.nan, MARCH_12, lang)
        fact = text.removeprefix(feature.label[lang])
        assert not re.search(r"(?<!\d)0", fact), text
        assert "2025" not in fact, text


def test_a_window_since_is_told_by_what_it_begins_at() -> None:
    contract = next(
        f for f in every_measure_and_window().features if f.name == "g.count.since.None"
    )
    assert sentence(contract, 2, None, "fr") == "Contrats : 2 depuis le dernier contrat"
    mixed = replace(contract, anchor=("CONTRACT//CER//SIGNED", "HOUSING//REHOUSING//DONE"))
    assert sentence(mixed, 2, None, "en") == "Contracts: 2 since the latest starting event"
    assert sentence(contract, math.nan, None, "en") == (
        "Contracts: not applicable, the latest contract is not known"
    )


def test_the_latest_date_stands_only_where_it_is_that_of_a_measured_event() -> None:
    """The day of the group's latest event knows neither ranges nor the end of a past period."""
    names = {f.name: f for f in every_measure_and_window().features}
    assert "2025" in sentence(names["g.count.90.None"], 2, MARCH_12, "en")
    assert "2025" in sentence(names["g.count.month.None"], 2, MARCH_12, "en")
    for name in ("g.count.90.None.ranged", "g.count.last_month.None", "g.rank.None.service"):
        assert "2025" not in sentence(names[name], 2, MARCH_12, "en")


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
        (
            "contact.noshow.count.last_month",
            1,
            "Absences à un rendez-vous : 1 le mois dernier",
            "Missed appointments: 1 last month",
        ),
        (
            "contact.seen.count.since",
            4,
            "Rendez-vous honorés : 4 depuis la dernière orientation "
            "(dernière fois le 12 mars 2025)",
            "Appointments kept: 4 since the latest orientation (latest on 12 March 2025)",
        ),
        (
            "housing.arrears.max.all",
            850,
            "Impayés de loyer : 850 € au maximum, sur tout l'historique connu",
            "Rent arrears: €850 at the highest, over all that is known",
        ),
        (
            "housing.arrears.slope.365d",
            42.25,
            "Impayés de loyer : +42,25 par 30 jours, en 365 jours",
            "Rent arrears: +42.25 for 30 days, in 365 days",
        ),
        (
            "services.job_and_training.overlap.all",
            0,
            "Emploi et formation menés de front : pas en même temps",
            "Job and training side by side: not at the same time",
        ),
        (
            "services.need_then_answer.sequences.180d",
            2,
            "Besoins suivis d'une réponse : 2 avec une suite en 60 jours au plus, en 180 jours",
            "Needs followed by an answer: 2 followed up within 60 days, in 180 days",
        ),
        (
            "needs.raised.answer_delay.all",
            12.5,
            "Besoins signalés : 12,5 jours avant réponse (médiane), sur tout l'historique connu",
            "Needs raised: 12.5 days before an answer (median), over all that is known",
        ),
        (
            "contact.seen.trend_ratio.90d",
            math.nan,
            "Rendez-vous honorés : sans objet, aucun événement connu dans les 90 jours d'avant",
            "Appointments kept: not applicable, no known event in the 90 days before",
        ),
        (
            "peers.noshow.rank.contact.noshow.count.90d",
            0.92,
            "Absences en 90 jours : plus que 92 % des personnes suivies par le même service "
            "(ex æquo comptés pour moitié)",
            "Missed appointments in 90 days: more than 92% of the people followed by the same "
            "service (ties count half)",
        ),
        (
            "peers.seen.rank.contact.seen.count.90d",
            0.1,
            "Rendez-vous honorés en 90 jours : moins que 90 % des personnes suivies par le même "
            "service (ex æquo comptés pour moitié)",
            "Appointments kept in 90 days: less than 90% of the people followed by the same "
            "service (ties count half)",
        ),
        (
            "track.noshow.rank.contact.noshow.count.180d",
            0.5,
            "Absences en 180 jours : au milieu des personnes dans la même situation",
            "Missed appointments in 180 days: in the middle of the people in the same situation",
        ),
        (
            "peers.caseload.group_size.all",
            54,
            "File active : 54 personnes suivies par le même service",
            "Caseload: 54 people followed by the same service",
        ),
        (
            "peers.silence.group_mean.contact.seen.days_since_last.all",
            31.5,
            "Jours depuis le dernier rendez-vous honoré : 31,5 jours en moyenne chez les personnes "
            "suivies par le même service",
            "Days since the last appointment kept: 31.5 days on average among the people followed "
            "by the same service",
        ),
        (
            "pathway.day.day_of_month.all",
            1,
            "Jour du mois : le 1er du mois",
            "Day of the month: the first of the month",
        ),
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
