"""What a training leaves behind: runs and the champion in MLflow, reports in the work folder."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.settings import FeaturesSettings
from training.calibration import Calibrator
from training.champion import PEERS, save_folder
from training.evaluation import METRICS
from training.folds import Fold
from training.models import RiskModel
from training.report import TrainingReport, write_reports
from training.settings import TrainingSettings
from training.texts import LANGUAGES

if TYPE_CHECKING:
    from features.catalogue import Catalogue
    from features.peers import PeerGroups
    from features.territory import Territory
    from training.registry import Registry

__all__ = ["champion_settings", "record"]


def champion_settings(
    report: TrainingReport,
    catalogue: Catalogue,
    peers: PeerGroups | None,
    settings: TrainingSettings,
    features: FeaturesSettings,
    fold: Fold,
    prevalence: float,
) -> dict[str, Any]:
    """What a reader of the model must know, and what its themes are called."""
    from features.vocabulary import Vocabulary

    vocabulary = Vocabulary.load(features.vocabulary)
    themes = sorted({feature.theme for feature in catalogue.features})
    build = report.build
    return {
        "territory": build.territory,
        "kind": report.champion["kind"],
        "calibration": report.champion["calibration"],
        "horizon_days": settings.horizon_days,
        "prevalence": prevalence,
        "data_version": build.data_version,
        "cohort_hash": build.cohort_hash,
        "matrix_hash": build.matrix_hash,
        "catalogue_hash": catalogue.hash,
        "peers_hash": None if peers is None else peers.hash,
        "fold": fold.as_dict(),
        "timezone": features.timezone,
        "training": settings.model_dump(mode="json"),
        "themes": {t: {one: vocabulary.theme_label(t, one) for one in LANGUAGES} for t in themes},
    }


def record(
    territory: Territory,
    report: TrainingReport,
    settings: TrainingSettings,
    model: RiskModel,
    calibrator: Calibrator,
    catalogue: Catalogue,
    peers: PeerGroups | None,
    known: Mapping[str, Any],
) -> TrainingReport:
    """Put the training into MLflow and its reports into the work folder."""
    from training.registry import fingerprint, open_registry

    registry = open_registry(territory)
    build = report.build
    params = {**_flat(settings.model_dump(mode="json")), "features": build.features}
    run = registry.start("training", params=params, tags={"territory": territory.name})
    try:
        _log(registry, run, report, catalogue)
        with tempfile.TemporaryDirectory() as scratch:
            folder = save_folder(
                Path(scratch) / "champion",
                model=model,
                calibrator=calibrator,
                catalogue=catalogue,
                settings=known,
                peers=peers,
            )
            best = next(m for m in report.models if m.kind == known["kind"])
            written = {
                str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
                for file in sorted(folder.rglob("*"))
                # The peer groups count by the hash of their content, in the settings: the bytes of
                # a Parquet file also depend on the library that wrote it.
                if file.is_file() and file.name != PEERS
            }
            mark = fingerprint({"files": written, "figures": [m.mean for m in report.models]})
            # The same training again is no new version: scores made with it stay the champion's.
            same = registry.champion_of(mark)
            version, made_by = same or (
                registry.register(
                    run,
                    folder,
                    names=catalogue.names,
                    params=model.parameters(),
                    tags={
                        "kind": str(known["kind"]),
                        "data_version": str(build.data_version),
                        "matrix_hash": build.matrix_hash,
                        "mean_auc": f"{best.mean['auc']:.4f}",
                        "fingerprint": mark,
                    },
                ),
                run,
            )
        champion = {**report.champion, "version": version, "run_id": made_by}
        done = replace(report, champion=champion)
        write_reports(done, territory.home / "reports")
        with tempfile.TemporaryDirectory() as scratch:
            write_reports(done, Path(scratch))
            registry.files(run, Path(scratch), "report")
    except BaseException:
        registry.end(run, failed=True)
        raise
    registry.end(run)
    return done


def _log(registry: Registry, run: str, report: TrainingReport, catalogue: Catalogue) -> None:
    """Figures of each model as a run of its own, one step for each fold; data and features once."""
    build = report.build
    registry.dataset(
        run,
        digest=build.matrix_hash,
        source=json.dumps(
            {
                "delta_version": build.data_version,
                "cohort_hash": build.cohort_hash,
                "matrix_hash": build.matrix_hash,
                "catalogue_hash": catalogue.hash,
            }
        ),
        schema=json.dumps({"features": build.features, "type": "float32"}),
        rows=json.dumps({"rows": build.rows, "people": build.people}),
    )
    for model in report.models:
        child = registry.start(model.kind, parent=run, tags={"kind": model.kind})
        for step, fold in enumerate(model.folds):
            registry.metrics(child, fold.figures, step=step)
        registry.metrics(child, {f"mean_{name}": value for name, value in model.mean.items()})
        if report.truth is not None:
            registry.metrics(child, {"truth_auc": report.truth.models[model.kind]})
        registry.end(child)
    best = next(m for m in report.models if m.kind == report.champion["kind"])
    registry.metrics(run, {f"mean_{name}": best.mean[name] for name in METRICS})
    if report.truth is not None:
        registry.metrics(run, {"attainable_auc": report.truth.attainable_auc})
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "features.json").write_text(catalogue.to_json(), encoding="utf-8")
        folds = json.dumps([dict(fold) for fold in report.folds], indent=1)
        (folder / "folds.json").write_text(folds + "\n", encoding="utf-8")
        _draw(report, folder)
        registry.files(run, folder)


def _draw(report: TrainingReport, folder: Path) -> None:
    from training.charts import precision_recall_svg, reliability_svg

    for name, draw in (
        ("reliability", reliability_svg),
        ("precision_recall", precision_recall_svg),
    ):
        picture = draw(report.charts[name], "en")
        (folder / f"{name}.svg").write_text(picture, encoding="utf-8")


def _flat(content: Mapping[str, Any], before: str = "") -> dict[str, object]:
    """Nested settings by dotted names."""
    flat: dict[str, object] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{before}{key}."))
        else:
            flat[f"{before}{key}"] = value
    return flat
