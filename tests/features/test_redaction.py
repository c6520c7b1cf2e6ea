"""Shapes of identity: what must go no further, and what looks alike but may."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.redaction import IDENTITY, code_shaped, looks_like_identity, numbers_like_identity


@pytest.mark.parametrize(
    "text",
    [
        "253072B07300470",
        "2 95 10 99 126 111 93",
        "dossier 295109912611193, à revoir",
        "2951099126111",
        "1.84.12.76.451.089.46",
        "1-84-12-76-451-089",
        "1/84/12/76/451/089",
        "1\u00a084\u00a012\u00a076\u00a0451\u00a0089\u00a046",
        "06\u00a012\u00a034\u00a056\u00a078",
        "0612345678",
        "06 12 34 56 78",
        "01.23.45.67.89",
        "+33 6 12 34 56 78",
        "a@b.fr",
        "prenom.nom@exemple.org",
    ],
)
def test_identities_are_seen(text: str) -> None:
    assert looks_like_identity(pa.array([text])).tolist() == [True]
    assert not code_shaped(text)


@pytest.mark.parametrize(
    "text",
    ["R0012345", "2024-03-12", "12 000", "rdv-0612", "34873", "D0000017", "999999999999999999", ""],
)
def test_references_are_not(text: str) -> None:
    assert looks_like_identity(pa.array([text])).tolist() == [False]


@pytest.mark.parametrize("text", ["??", "ZZ", "99", "A-REVOIR", "n.c.", "1/2", "été"])
def test_short_words_may_be_codes(text: str) -> None:
    assert code_shaped(text)


@pytest.mark.parametrize("text", ["Jeanne Martin", "(withheld)", "", "x" * 13, "a@b.fr", "a,b"])
def test_sentences_names_and_addresses_are_no_codes(text: str) -> None:
    assert not code_shaped(text)


def test_missing_values_hold_nothing() -> None:
    column = pa.chunked_array([[None, "a@b.fr"], ["x"]], pa.string())
    assert looks_like_identity(column).tolist() == [False, True, False]
    assert looks_like_identity(pa.array([], pa.string())).tolist() == []


@pytest.mark.parametrize("text", ["+33 (0)6 12 34 56 78", "+262692123456", "4951099126111"])
def test_further_ways_of_writing_are_seen(text: str) -> None:
    assert looks_like_identity(pa.array([text])).tolist() == [True]


@given(
    before=st.text("ab ,;", max_size=5),
    parts=st.sampled_from(["0612345678", "06-12-34-56-78", "295109912611193", "x.y@z.org"]),
    after=st.text("ab ,;", max_size=5),
)
def test_the_quick_look_never_misses_what_the_close_one_sees(
    before: str, parts: str, after: str
) -> None:
    text = before + parts + after
    close = IDENTITY.search(text) is not None
    assert looks_like_identity(pa.array([text])).tolist() == [close]


@pytest.mark.parametrize("value", [612345678, 33612345678, 295109912611193, 2951099126111])
def test_numbers_that_are_telephones_or_nir_are_seen(value: float) -> None:
    assert numbers_like_identity(np.array([float(value), np.nan])).tolist() == [True, False]


@pytest.mark.parametrize("value", [0, -3, 1250.5, 99_999_999, 6123456780, 1e16, 612345678.5])
def test_amounts_are_not(value: float) -> None:
    assert numbers_like_identity(np.array([float(value)])).tolist() == [False]


SEEN = (
    "+33-6-12-34-56-78",
    "+33.6.12.34.56.78",
    "+33 612 345 678",
    "+33 (0)6-12-34-56-78",
    "06/12/34/56/78",
    "06_12_34_56_78",
    "0612 345 678",
    "0612.345.678",
    "06 123 456 78",
    "+32 475 12 34 56",
    "+1 (555) 123-4567",
    "1_84_12_76_451_089_46",
    "1_84_12_76_451_089",
    "rdv_06_12_34_56_78.csv",
    "rdv-06_12_34_56_78.csv",
    "rdv-06-12-34-56-78.csv",
)
NOT_SEEN = (
    "31/03/2024 10:15",
    "31/03/2024 1015",
    "2024/03/31/10/15/30",
    "2024_03_31_10_15_30",
    "24_03_31_10_15_30",
    "2024-03-31-10-15-30",
    "rdv-2024-03-01-10-15.csv",
    "rdv-2_20240331101530.csv",
    "20240331101530",
    "2024-03-31T10:15:00+02:00",
    "2024-03-31T10:15:00.123456+0200",
    "2024-03-31T10:15:00Z",
    "J+30 2024-03-31",
    "+30 31.03.2024 10:15",
    "+1 234 567,50",
    "+123 456 789",
    "1 012 345 678",
    "-1.234.567,89",
    "RDV-2024-000123",
    "RDV_2024_000123",
    "0x1f3a5b7c9d",
    "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d",
    "3f2a9b4c-06ab-4d12-8e56-78c0ffee1234",
    "data/2024/03/31/rdv.csv",
)


@pytest.mark.parametrize("text", SEEN)
def test_every_mark_between_the_digits_is_seen_through(text: str) -> None:
    found = looks_like_identity(pa.array([text, f"voir {text}, merci", f"({text})"]))
    assert found.tolist() == [True, True, True]


@pytest.mark.parametrize("text", NOT_SEEN)
def test_dates_amounts_and_references_are_left_alone(text: str) -> None:
    found = looks_like_identity(pa.array([text, f"voir {text}, merci"]))
    assert found.tolist() == [False, False]


@given(
    pairs=st.lists(st.integers(0, 99), min_size=4, max_size=4),
    mark=st.sampled_from(["", " ", ".", "-", "/", "_", "\u00a0"]),
    first=st.sampled_from(["06", "01", "+33{}6", "+33{}1", "0033{}7"]),
)
def test_any_telephone_of_pairs_is_seen(pairs: list[int], mark: str, first: str) -> None:
    text = mark.join([first.format(mark), *(f"{pair:02d}" for pair in pairs)])
    assert looks_like_identity(pa.array([text])).tolist() == [True]


@given(
    when=st.datetimes(),
    form=st.sampled_from(
        ["%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%Y-%m-%dT%H:%M:%S+02:00", "%Y/%m/%d/%H/%M/%S"]
    ),
)
def test_no_date_with_its_hour_is_taken_for_a_person(when: datetime, form: str) -> None:
    text = when.strftime(form).replace(f"{when.year}", f"{when.year:04d}", 1)
    assert looks_like_identity(pa.array([text])).tolist() == [False]
