"""A model ready to serve: scores, calibration, features and what their themes are called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from features.errors import DataError
from training.calibration import Calibrator, load_calibrator
from training.models import RiskModel, load_model

if TYPE_CHECKING:
    from features.catalogue import Catalogue
    from features.matrix import Matrix
    from features.peers import PeerGroups

__all__ = ["Champion", "Scores", "load_folder", "save_folder"]

Floats = npt.NDArray[np.float64]

PEERS = "peers.parquet"
"""The peer groups, in the folder of a model that has features among peers."""


@dataclass(frozen=True)
class Scores:
    """Risks of matrix rows.

    Attributes:
        risk: [n] calibrated probability of a rupture within the horizon.
        raw: [n] uncalibrated score; people are ranked by it.
        contributions: [n, k + 1] share of each feature in `raw`; the last column is the base.
    """

    risk: Floats
    raw: Floats
    contributions: Floats


@dataclass(frozen=True)
class Champion:
    """The model in service of a territory, read from its files; nothing of MLflow is kept.

    Attributes:
        model: Gives `raw` and `contributions`.
        calibrator: Turns `raw` into a probability.
        catalogue: Features, in the order of the matrix's columns.
        version: Version in the registry, or "0" for a model outside it.
        run_id: MLflow run that made it.
        settings: What it was trained with: `training` and `features` settings that matter, fold
            dates, hashes of the data, labels of the themes.
        peers: The peer groups of the matrix it was trained on, which rows are compared with when
            they are scored; None when no feature compares people.
    """

    model: RiskModel
    calibrator: Calibrator
    catalogue: Catalogue
    version: str
    run_id: str
    settings: Mapping[str, Any] = field(repr=False)
    peers: PeerGroups | None = field(default=None, repr=False)

    def check(self, matrix: Matrix) -> None:
        """Refuse a matrix whose columns are not those the model learned from.

        Raises:
            DataError: the catalogues differ, with how many names differ.
        """
        if matrix.catalogue.hash != self.catalogue.hash:
            unlike = set(matrix.names) ^ set(self.catalogue.names)
            raise DataError(
                f"scoring with model version {self.version}: the matrix has another catalogue",
                expected=f"the {len(self.catalogue.names)} features the model learned from",
                got=f"{len(matrix.names)} features, {len(unlike)} names differ",
                hint="Build the matrix with champion.catalogue, or train again.",
            )

    def score(self, matrix: Matrix) -> Scores:
        """Risk, raw score and contributions of every row of a matrix.

        Args:
            matrix: Rows computed with `self.catalogue` and `self.peers`.

        Raises:
            DataError: the matrix has another catalogue.
        """
        self.check(matrix)
        shares = self.model.contributions(matrix.values)
        raw = self.model.raw(matrix.values)
        return Scores(self.calibrator.risk(raw), raw, shares)


def save_folder(
    folder: Path,
    *,
    model: RiskModel,
    calibrator: Calibrator,
    catalogue: Catalogue,
    settings: Mapping[str, Any],
    peers: PeerGroups | None = None,
) -> Path:
    """Write a model with all that serving it needs; returns the folder.

    All of it is text, apart from the peer groups, where there are any: one Parquet file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "model")
    calibrator.save(folder / "calibrator.json")
    (folder / "catalogue.json").write_text(catalogue.to_json(), encoding="utf-8")
    text = json.dumps(settings, ensure_ascii=False, indent=1, sort_keys=True)
    (folder / "settings.json").write_text(text + "\n", encoding="utf-8")
    if peers is not None:
        peers.save(folder / PEERS)
    return folder


def load_folder(folder: Path, *, version: str = "0", run_id: str = "") -> Champion:
    """Read what `save_folder` wrote.

    Raises:
        DataError: files are missing, with their names, or do not belong together.
    """
    from features.catalogue import Catalogue

    wanted = ("model/model.json", "calibrator.json", "catalogue.json", "settings.json")
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"loading model version {version}: {', '.join(missing)}",
            expected="the files of a trained model in the work folder",
            got=f"{len(missing)} missing",
            hint="Restore the work folder, or train again: jalon train.",
        )
    catalogue = Catalogue.from_json((folder / "catalogue.json").read_text(encoding="utf-8"))
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    return Champion(
        load_model(folder / "model"),
        load_calibrator(folder / "calibrator.json"),
        catalogue,
        version,
        run_id,
        settings,
        _load_peers(folder, catalogue, version, settings.get("peers_hash")),
    )


def _load_peers(
    folder: Path, catalogue: Catalogue, version: str, known: str | None
) -> PeerGroups | None:
    """The peer groups saved with a model; None where no feature compares people.

    Raises:
        DataError: there must be some and are none, or they are those of another training.
    """
    comparing = sum(feature.among_peers for feature in catalogue.features)
    if not comparing:
        return None
    if not (folder / PEERS).is_file():
        raise DataError(
            f"loading model version {version}: {PEERS}",
            expected=f"the peer groups of its {comparing} feature(s) that compare people",
            got="no file",
            hint="Restore the work folder, or train again: jalon train.",
        )
    from features.peers import PeerGroups

    peers = PeerGroups.load(folder / PEERS)
    if known is not None and peers.hash != known:
        raise DataError(
            f"loading model version {version}: {PEERS} is that of another training",
            expected="the hash in settings.json",
            got="another",
            hint="Restore the work folder, or train again: jalon train.",
        )
    return peers
