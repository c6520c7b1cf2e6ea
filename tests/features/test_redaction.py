"""Shapes of identity: what must go no further, and what looks alike but may."""

from __future__ import annotations

import pyarrow as pa
import pytest

from features.redaction import code_shaped, looks_like_identity


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
