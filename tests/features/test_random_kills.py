"""Killed at random instants and run again: the table of a clean run.

Fifty of them: `python -m tests.features.random_kills 50`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.features.random_kills import run_kills

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def _one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    # Pseudonyms are compared between homes.
    monkeypatch.setenv("JALON_KEY", "one secret for every one of the homes")


@pytest.mark.timeout(1200)
def test_an_ingest_killed_at_random_ends_as_a_clean_one(tmp_path: Path) -> None:
    found = run_kills(tmp_path, 8, seed=3)
    assert found.landed == 10
    assert found.different == 0
