"""Which peers a person is compared with when a value is explained: those that scores use first."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from features.catalogue import Catalogue, Feature
from features.errors import DataError, JalonError
from features.peer_standing import Against, holds
from features.settings import FeaturesSettings
from training.settings import TrainingSettings

if TYPE_CHECKING:
    from features.territory import Territory
    from training.champion import Champion

__all__ = ["known_peers"]


def known_peers(
    catalogue: Catalogue, feature: Feature, *, territory: Territory, at: datetime
) -> Against:
    """The groups that a feature compares people with, from the first place that has them.

    The champion's come first, for scores are made with them; then those of the newest built matrix;
    then groups made on the spot, of the people whose pathway is open and not in rupture at that
    time. Groups of another definition of the feature are passed over.

    Args:
        catalogue: The territory's.
        feature: One of its features that compares peers.
        territory: An opened territory with timelines.
        at: The prediction time, UTC without zone.

    Raises:
        DataError: files of the champion or of the matrix are damaged.
    """
    return (
        _trained(territory, catalogue, feature)
        or _built(territory, catalogue, feature)
        or _computed(territory, catalogue, feature, at)
    )


def _names(feature: Feature) -> list[str]:
    return [name for name in (feature.of, feature.name) if name is not None]


def _same(catalogue: Catalogue, other: Catalogue, feature: Feature) -> bool:
    """Whether both say the same of a feature and of the one it compares."""
    names = _names(feature)
    known = all(name in other.places for name in names)
    return known and catalogue.only(names).hash == other.only(names).hash


def _trained(territory: Territory, catalogue: Catalogue, feature: Feature) -> Against | None:
    champion = _champion(territory)
    if champion is None or not _same(catalogue, champion.catalogue, feature):
        return None
    peers = champion.peers
    if peers is None or not holds(peers, feature):
        return None
    return Against(peers, "champion", champion.version)


def _champion(territory: Territory) -> Champion | None:
    from training.registry import load_champion

    if not (territory.home / "mlflow" / "mlflow.db").is_file():
        return None
    try:
        return load_champion(territory)
    except DataError:
        raise
    except JalonError:
        # A training has begun and none has ended: there is no champion yet.
        return None


def _built(territory: Territory, catalogue: Catalogue, feature: Feature) -> Against | None:
    from features.stored_matrix import StoredMatrix

    files = (territory.home / "matrices").glob("matrix-*.json")
    for file in sorted(files, key=lambda one: one.stat().st_mtime_ns, reverse=True)[:1]:
        matrix = StoredMatrix.open(file)
        peers = matrix.peers() if _same(catalogue, matrix.catalogue, feature) else None
        if peers is not None and holds(peers, feature):
            return Against(peers, "matrix", file.name)
    return None


def _computed(
    territory: Territory, catalogue: Catalogue, feature: Feature, at: datetime
) -> Against:
    from features.matrix import compute_matrix
    from features.peers import PeerGroups
    from features.timelines import Timelines
    from training.cohort import open_pathways

    timelines = Timelines.open(territory.home / "timelines")
    training = territory.section("training", TrainingSettings)
    cohort = open_pathways(timelines, at, training, territory.section("features", FeaturesSettings))
    matrix = compute_matrix(timelines, cohort, catalogue.only(_names(feature)))
    return Against(matrix.peers or PeerGroups({}), "computed")
