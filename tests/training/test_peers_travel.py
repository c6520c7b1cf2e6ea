"""Peer groups go with the champion: a row served is the row trained on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.errors import DataError
from features.matrix import Matrix, compute_matrix
from features.peers import PeerGroups
from features.timelines import Timelines
from training.champion import PEERS, load_folder
from training.registry import load_champion
from training.train import train

Trained = tuple[Any, Any]


def champion_folder(territory: Any) -> Path:
    models = territory.home / "mlflow" / "artifacts" / "models"
    return next(models.iterdir()) / "artifacts" / "artifacts" / "champion"


def test_a_row_served_is_the_row_trained_on(trained_among_peers: Trained) -> None:
    territory, report = trained_among_peers
    champion = load_champion(territory)
    assert champion.peers is not None
    assert champion.peers.hash == champion.settings["peers_hash"]
    timelines = Timelines.open(territory.home / "timelines")
    matrix = Matrix.load(territory.home / report.build.matrix_file)
    among = [n for n, f in enumerate(matrix.catalogue.features) if f.among_peers]
    assert len(among) == 5
    assert (~np.isnan(matrix.values[:, among])).mean() > 0.5
    whole = champion.score(matrix)
    for place in range(0, len(matrix.values), len(matrix.values) // 40):
        row = matrix.cohort.slice(place, 1).select(["subject_id", "prediction_time"])
        events = timelines.read(row["subject_id"].to_numpy())
        alone = compute_matrix(events, row, champion.catalogue, peers=champion.peers)
        assert alone.values.tobytes() == matrix.values[place].tobytes()
        scores = champion.score(alone)
        assert scores.risk[0] == whole.risk[place]
        np.testing.assert_array_equal(scores.contributions[0], whole.contributions[place])


def test_later_the_newest_group_serves(trained_among_peers: Trained) -> None:
    territory, report = trained_among_peers
    champion = load_champion(territory)
    matrix = Matrix.load(territory.home / report.build.matrix_file)
    subject = matrix.cohort["subject_id"].to_pylist()[-1]
    times = np.array(["2027-01-01", "2028-01-01"], "datetime64[us]")
    rows = pa.table({"subject_id": [subject] * 2, "prediction_time": times})
    timelines = Timelines.open(territory.home / "timelines")
    later = compute_matrix(timelines, rows, champion.catalogue, peers=champion.peers)
    size = champion.catalogue.places["peers.contact.group_size.all"]
    assert later.values[0, size] == later.values[1, size] > 1


def test_training_again_finds_the_same_groups(trained_among_peers: Trained) -> None:
    territory, report = trained_among_peers
    again = train(territory)
    assert again.build.reused
    assert again.champion["version"] == report.champion["version"]


def test_without_its_groups_a_champion_does_not_serve(
    trained_among_peers: Trained, tmp_path: Path
) -> None:
    territory, _ = trained_among_peers
    folder = shutil.copytree(champion_folder(territory), tmp_path / "champion")
    assert load_folder(folder).peers is not None
    PeerGroups({}).save(folder / PEERS)
    with pytest.raises(DataError, match="another training"):
        load_folder(folder)
    (folder / PEERS).unlink()
    with pytest.raises(DataError, match=r"5 feature\(s\) that compare people.*jalon train"):
        load_folder(folder)


def test_a_champion_that_compares_nobody_has_no_groups(trained: Trained) -> None:
    territory, _ = trained
    assert not (champion_folder(territory) / PEERS).exists()
    champion = load_champion(territory)
    assert champion.peers is None
    assert champion.settings["peers_hash"] is None
