"""The vocabulary: complete, labelled in both languages, extensible, and helpful when misspelt."""

from __future__ import annotations

import itertools

import pytest

from features.errors import ConfigurationError
from features.events import WITHDRAWN
from features.settings import CodeEntry, Label
from features.vocabulary import Vocabulary

DOMAIN = {
    "CONTACT": [
        ("APPOINTMENT", "SCHEDULED SEEN EXCUSED NOSHOW REVOKED UNKNOWN"),
        ("INVITATION", "SENT DELIVERED NOT_DELIVERED OPENED EXPIRED"),
        ("NOTE", "TODO IN_PROGRESS DONE"),
        ("OUTREACH", "SEEN"),
    ],
    "ORIENTATION": [
        ("DECISION", "SOCIAL PRO SOCIO_PRO"),
        ("REORIENTATION", "REQUESTED ACCEPTED DENIED"),
        ("REFERRAL", "OPEN ACCEPTED REFUSED EXPIRED"),
    ],
    "CONTRACT": [("CER PPAE CEJ PACEA", "SIGNED RENEWED EXPIRED CANCELLED ENDED")],
    "RIGHTS": [
        ("RSA", "OPEN SUSPENDED PAYMENT_SUSPENDED CLOSED REFUSED"),
        ("RESOURCES", "DECLARED NONE"),
        ("BENEFIT HEALTH_COVER", "HELD NONE"),
        ("VETERAN", "HELD"),
        ("SANCTION", "REDUCTION SUSPENSION MAINTAINED CANCELLED"),
    ],
    "EMPLOYMENT": [
        ("REGISTRATION", "REGISTERED ENDED STRUCK_OFF"),
        ("APPLICATION", "NEW ACCEPTED REFUSED CANCELLED"),
        ("JOB IAE_JOB IMMERSION", "STARTED ENDED BROKEN SUSPENDED"),
        ("SITUATION", "EMPLOYED NOT_EMPLOYED LOOKING"),
    ],
    "TRAINING": [
        ("COURSE APPRENTICESHIP", "OFFERED ENROLLED STARTED COMPLETED ABANDONED BROKEN"),
        ("SITUATION", "ATTENDING DROPPED_OUT"),
    ],
    "SOCIAL": [
        ("DIAGNOSIS", "DONE"),
        ("AID_REQUEST", "OPEN ACCEPTED REFUSED ADJOURNED DROPPED"),
        ("ACTION", "PLANNED IN_PROGRESS STANDBY DONE ABANDONED CANCELLED"),
        ("SERVICE", "PROVIDED"),
        ("FINANCIAL_AID", "PAID"),
    ],
    "HOUSING": [
        (
            "SITUATION",
            "STREET SHELTER HOSTED SUPPORTED SOCIAL_HOUSING TENANT OWNER HOTEL INSTITUTION",
        ),
        ("NIGHT", "SHELTERED"),
        (
            "PROGRAMME",
            "SHELTER TRANSITIONAL PERMANENT REHOUSING OUTREACH PREVENTION COORDINATED_ENTRY "
            "SERVICES OTHER",
        ),
        ("REHOUSING EVICTION_NOTICE ARREARS", "OPENED DONE CLOSED"),
    ],
    "HEALTH": [("BARRIER REFERRAL CARE", "RAISED OPEN STARTED RESOLVED STOPPED")],
    "NEED": [
        (
            "MOBILITY CHILDCARE HEALTH HOUSING MONEY ADMIN LANGUAGE DIGITAL SKILLS FAMILY",
            "RAISED ANSWERED CLOSED",
        )
    ],
    "EXIT": [
        (
            "PATHWAY",
            "JOB TRAINING RIGHTS_NOT_NEEDED MOVED RETIRED DEATH AGE_LIMIT DROPPED_OUT NO_SOLUTION "
            "HOUSED TEMPORARY INSTITUTION UNKNOWN",
        )
    ],
    "ALERT": [
        ("SHARED", "SENT TAKEN_UP APPOINTMENT_MADE UNREACHABLE DECLINED ALREADY_FOLLOWED"),
    ],
}


def expected_codes() -> set[str]:
    return {
        f"{domain}//{event}//{status}"
        for domain, lines in DOMAIN.items()
        for events, statuses in lines
        for event, status in itertools.product(events.split(), statuses.split())
    }


def test_every_code_of_the_domain_is_there_once() -> None:
    codes = Vocabulary.load().codes
    assert set(codes) == expected_codes()
    assert len(codes) == len(set(codes))
    assert WITHDRAWN not in codes


def test_every_code_has_two_labels_a_theme_and_a_provenance() -> None:
    vocabulary = Vocabulary.load()
    for code in vocabulary.codes:
        entry = vocabulary[code]
        assert entry.label.fr.strip()
        assert entry.label.en.strip()
        assert entry.provenance
        for lang in ("fr", "en"):
            assert vocabulary.theme_label(vocabulary.theme(code), lang).strip()
    for lang in ("fr", "en"):
        labels = [vocabulary.label(code, lang) for code in vocabulary.codes]
        assert len(labels) == len(set(labels))


def test_only_what_can_be_due_is_known_before_it_happens() -> None:
    assert Vocabulary.load().planned == {
        "CONTACT//APPOINTMENT//SCHEDULED",
        "SOCIAL//ACTION//PLANNED",
    }


@pytest.mark.parametrize(
    ("pattern", "count"),
    [("EXIT//PATHWAY//*", 13), ("NEED//*//RAISED", 10), ("*", 203), ("NEED//HEALTH//RAISED", 1)],
)
def test_a_star_stands_for_anything(pattern: str, count: int) -> None:
    assert len(Vocabulary.load().matching(pattern)) == count


def test_a_pattern_that_means_nothing_gives_nothing() -> None:
    assert Vocabulary.load().matching("EXIT//PATHWAYS//*") == ()
    assert Vocabulary.load().matching("exit//pathway//job") == ()


def entry(code: str) -> CodeEntry:
    return CodeEntry(code=code, label=Label(fr="Visite", en="Visit"), theme="platform")


def test_a_territory_adds_codes_of_its_own() -> None:
    vocabulary = Vocabulary.load([entry("PLATFORM//VISIT//QUIZ")])
    assert vocabulary.label("PLATFORM//VISIT//QUIZ", "fr") == "Visite"
    assert vocabulary.theme_label("platform", "en")
    assert len(vocabulary.codes) == 204


def test_additions_that_are_wrong_are_all_named() -> None:
    wrong = [entry("EXIT//PATHWAY//JOB"), entry("QUIZ"), entry("A////B")]
    with pytest.raises(ConfigurationError) as caught:
        Vocabulary.load(wrong)
    for code in ("EXIT//PATHWAY//JOB", "QUIZ", "A////B"):
        assert f"'{code}'" in str(caught.value)


def test_an_unknown_code_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"Did you mean 'NEED//DIGITAL//RAISED'\?"):
        Vocabulary.load().label("NEED//DIGITALE//RAISED", "fr")
