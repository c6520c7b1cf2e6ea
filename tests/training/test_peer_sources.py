"""The groups an explanation compares with: the champion's, the matrix's, or made on the spot."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.definitions import build_catalogue
from features.questions import explain_feature
from features.settings import FeaturesSettings
from features.territory import Territory
from tests.training.conftest import GROUPS, PEERS
from training.peer_sources import known_peers
from training.train import build

RANK = "peers.contact.rank.contact.noshow.count.90d"


def explained(territory: Territory, person: int, at: datetime) -> dict[str, Any]:
    peers = partial(known_peers, territory=territory, at=at)
    return explain_feature(territory, person, RANK, at, lang="en", peers=peers).payload


@pytest.fixture
def work(trained_among_peers: tuple[Any, Any], tmp_path: Path) -> Territory:
    """A trained territory of its own, to be taken apart."""
    territory, _ = trained_among_peers
    home = tmp_path / "work"
    shutil.copytree(territory.home, home)
    return Territory.open(territory.file, home=home)


def test_first_the_champion_then_the_matrix_then_the_timelines(work: Territory) -> None:
    """All three say the same of a row of the cohort, whose peers are those at risk that day."""
    from features.stored_matrix import StoredMatrix

    [file] = (work.home / "matrices").glob("matrix-*.json")
    matrix = StoredMatrix.open(file).matrix()
    ranks = matrix.values[:, matrix.catalogue.places[RANK]]
    row = int(np.flatnonzero(~np.isnan(ranks))[-1])
    person = matrix.cohort["subject_id"][row].as_py()
    at = matrix.cohort["prediction_time"][row].as_py().replace(tzinfo=None)

    champion = explained(work, person, at)
    assert champion["peers"]["source"] == "champion"
    assert champion["peers"]["detail"] == "1"
    shutil.rmtree(work.home / "mlflow")
    kept = explained(work, person, at)
    assert kept["peers"]["source"] == "matrix"
    assert kept["peers"]["detail"] == file.name
    shutil.rmtree(work.home / "matrices")
    computed = explained(work, person, at)
    assert computed["peers"]["source"] == "computed"

    assert champion["value"] == pytest.approx(float(ranks[row]), abs=1e-7)
    for other in (kept, computed):
        assert other["value"] == champion["value"]
        told = {key: other["peers"][key] for key in ("key", "people", "mean", "order_statistics")}
        assert told == {key: champion["peers"][key] for key in told}


def test_groups_of_another_definition_are_passed_over(
    make_territory: Callable[..., Any],
) -> None:
    """The matrix was built before the compared feature changed: its groups say something else."""
    territory = make_territory(groups=GROUPS + PEERS)
    build(territory)
    text = territory.file.read_text(encoding="utf-8")
    more = '"CONTACT//APPOINTMENT//NOSHOW"\n        theme'
    assert more in text
    both = '["CONTACT//APPOINTMENT//NOSHOW", "NEED//MOBILITY//RAISED"]\n        theme'
    territory.file.write_text(text.replace(more, both, 1), encoding="utf-8")
    changed = Territory.open(territory.file, home=territory.home)
    catalogue = build_catalogue(changed.section("features", FeaturesSettings))
    at = datetime(2025, 6, 1)
    again = known_peers(catalogue, catalogue.feature(RANK), territory=changed, at=at)
    assert again.source == "computed"
    before = build_catalogue(territory.section("features", FeaturesSettings))
    first = known_peers(before, before.feature(RANK), territory=territory, at=at)
    assert first.source == "matrix"
