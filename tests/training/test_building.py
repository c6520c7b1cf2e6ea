"""`jalon features build`: dense or sparse, the same rows and values, and what it says of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import jalon
from features.errors import ConfigurationError
from features.sparse import SparseMatrix
from features.stored_matrix import StoredMatrix
from training.building import build, build_wide

MISSING = """
      - name: contact.seen
        codes: "CONTACT//APPOINTMENT//SEEN"
        theme: contact
        label: {fr: "Rendez-vous honorés", en: "Appointments kept"}
        measures: {days_since_last: [all]}
"""


def test_the_sparse_matrix_holds_the_dense_one_s_values(
    make_territory: Callable[..., Any],
) -> None:
    territory = make_territory(people=60, months=20)
    told: list[tuple[str, float]] = []
    report = build_wide(territory, progress=lambda step, share: told.append((step, share)))
    assert not report.reused
    assert build_wide(territory).reused
    assert [share for _, share in told] == sorted(share for _, share in told)
    whole = build(territory)
    assert (report.rows, report.people) == (whole.rows, whole.people)
    assert report.cohort_hash == whole.cohort_hash
    assert report.features + report.left_out == whole.features
    assert report.features == 5
    matrix = SparseMatrix.open(territory.home / "sparse")
    dense = StoredMatrix.open(territory.home / whole.matrix_file)
    places = [dense.catalogue.places[name] for name in matrix.names]
    np.testing.assert_array_equal(matrix.csr().toarray(), dense.memmap()[:, places])


def test_the_command_builds_it_and_says_what_is_left_out(
    make_territory: Callable[..., Any],
) -> None:
    territory = make_territory(people=40, months=12)
    where = [str(territory.file), "--home", str(territory.home)]
    done = CliRunner().invoke(jalon.app, ["features", "build", *where, "--sparse", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["features"], said["left_out"]) == (5, 3)
    assert SparseMatrix.open(territory.home / said["matrix_file"]).hash == said["matrix_hash"]
    shown = CliRunner().invoke(jalon.app, ["features", "build", *where, "--sparse"])
    assert "left out" in shown.stdout
    assert "SparseMatrix.open" in shown.stdout


def test_a_wide_dense_build_gives_a_hint(
    make_territory: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.store.WIDE", 3)
    territory = make_territory(people=20, months=6)
    where = [str(territory.file), "--home", str(territory.home)]
    done = CliRunner().invoke(jalon.app, ["features", "build", *where, "--json"])
    assert done.exit_code == 0, done.output
    assert "hint" in done.stderr
    assert "jalon features build TERRITORY --sparse" in done.stderr
    json.loads(done.stdout)


def test_nothing_that_can_be_sparse_is_said(make_territory: Callable[..., Any]) -> None:
    territory = make_territory(people=20, months=6, groups=MISSING)
    with pytest.raises(ConfigurationError, match=r"none of 1.*jalon features build"):
        build_wide(territory)
