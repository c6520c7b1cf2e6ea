"""`jalon meds`: the timelines and the cohort in the format of MEDS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.terminal import AsJson, Home, Lang, Where, out, progress, table, tell

if TYPE_CHECKING:
    import numpy as np

    from features.territory import Territory

__all__ = ["app"]

app = typer.Typer(
    help="Timelines and labels as a MEDS dataset, for tools that read it.", no_args_is_help=True
)


@app.command()
def export(
    where: Where,
    to: Annotated[Path, typer.Option(help="A new folder for the dataset.")],
    as_known: Annotated[
        str | None,
        typer.Option(help="Only what was known before this local date; default: the newest."),
    ] = None,
    lang: Lang = "fr",
    core: Annotated[
        bool, typer.Option("--core", help="Only the five columns of MEDS, none of ours besides.")
    ] = False,
    ends: Annotated[
        bool,
        typer.Option(
            "--ends/--no-ends", help="Say in a row for each person until when it was observed."
        ),
    ] = True,
    seed: Annotated[
        int, typer.Option(help="For the splits, where the territory's folds do not say them.")
    ] = 2026,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write the timelines as a MEDS dataset. It is personal data: people have pseudonyms."""
    from datetime import UTC, datetime, timedelta

    from features.meds import Dataset, export_meds
    from features.settings import FeaturesSettings
    from features.timelines import Timelines
    from features.vocabulary import Vocabulary
    from jalon import open_territory
    from training.schedule import end_of_observation, instant

    territory = open_territory(where, home=home)
    settings = territory.section("features", FeaturesSettings)

    def utc(micros: int) -> datetime:
        since = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
        return since.replace(tzinfo=None)

    at = None if as_known is None else utc(instant(as_known, settings.timezone))
    timelines = Timelines.open(territory.home / "timelines")
    with progress("meds export") as report:
        report("splits", 0.0)
        dataset = Dataset(
            name=territory.name,
            until=utc(end_of_observation(settings)),
            as_known=at,
            lang=lang,
            extras=not core,
            ends=ends,
            leave_out=_objecting(territory),
            splits=_splits(territory, timelines),
            seed=seed,
        )
        vocabulary = Vocabulary.load(settings.vocabulary)
        done = export_meds(timelines, vocabulary, to, dataset, progress=report)
    payload = {**done.as_dict(), "columns": list(done.columns), "folder": str(to)}
    then = f"jalon meds labels {where} --to {to / 'labels' / 'rupture' / 'labels.parquet'}"
    tell(payload, as_json, lambda: _show("Exported", payload), then, [to])


@app.command()
def labels(
    where: Where,
    to: Annotated[Path, typer.Option(help="The Parquet file to write; labels there are replaced.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write the cohort with its labels. What has no label is left out and counted."""
    from features.settings import FeaturesSettings
    from features.timelines import Timelines
    from jalon import open_territory
    from training.cohort import build_cohort
    from training.meds import write_labels
    from training.settings import TrainingSettings

    territory = open_territory(where, home=home)
    features = territory.section("features", FeaturesSettings)
    training = territory.section("training", TrainingSettings)
    timelines = Timelines.open(territory.home / "timelines")
    with progress("meds labels") as report:
        report("cohort", 0.0)
        cohort = build_cohort(timelines, training, features)
        done = write_labels(cohort, to, _objecting(territory))
    payload = {**done.as_dict(), "file": str(to)}
    tell(payload, as_json, lambda: _show("Labels", payload), "", [to])


def _objecting(territory: Territory) -> np.ndarray[Any, Any]:
    """Who objects to being scored is not handed to other programs that score."""
    from features.identity import Vault

    vault = Vault.open(territory.home / "identity")
    try:
        return vault.objected()
    finally:
        vault.close()


def _splits(territory: Territory, timelines: Any) -> dict[int, str] | None:
    from features.settings import FeaturesSettings
    from training.cohort import build_cohort
    from training.meds import splits_of_folds
    from training.settings import CutoffFolds, TrainingSettings

    training = territory.section("training", TrainingSettings)
    if not isinstance(training.folds, CutoffFolds):
        return None
    features = territory.section("features", FeaturesSettings)
    cohort = build_cohort(timelines, training, features)
    return splits_of_folds(cohort.table, training, features.timezone)


def _show(title: str, payload: Mapping[str, Any]) -> None:
    rows = []
    for name, value in payload.items():
        if isinstance(value, dict):
            rows += [[f"{name.replace('_', ' ')}: {one}", count] for one, count in value.items()]
        elif isinstance(value, int):
            rows.append([name.replace("_", " "), value])
    out.print(table(title, ["what", "count"], rows))
