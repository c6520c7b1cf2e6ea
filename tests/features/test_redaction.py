"""Shapes of identity: what must go no further, and what looks alike but may."""

from __future__ import annotations

import pyarrow as pa
import pytest

from features.redaction import looks_like_identity, redacted


@pytest.mark.parametrize(
    "text",
    [
        "253072B07300470",
        "2 95 10 99 126 111 93",
        "dossier 295109912611193, à revoir",
        "2951099126111",
        "0612345678",
        "06 12 34 56 78",
        "01.23.45.67.89",
        "+33 6 12 34 56 78",
        "a@b.fr",
        "prenom.nom@exemple.org",
    ],
)
def test_identities_are_seen_and_redacted(text: str) -> None:
    assert looks_like_identity(pa.array([text])).tolist() == [True]
    clean = redacted(text)
    assert "[redacted]" in clean
    assert looks_like_identity(pa.array([clean])).tolist() == [False]


@pytest.mark.parametrize(
    "text",
    ["R0012345", "2024-03-12", "12 000", "rdv-0612", "34873", "D0000017", "999999999999999999", ""],
)
def test_references_are_not(text: str) -> None:
    assert looks_like_identity(pa.array([text])).tolist() == [False]
    assert redacted(text) == text


def test_missing_values_hold_nothing() -> None:
    column = pa.chunked_array([[None, "a@b.fr"], ["x"]], pa.string())
    assert looks_like_identity(column).tolist() == [False, True, False]
    assert looks_like_identity(pa.array([], pa.string())).tolist() == []
