"""The front door: the command line, and the names that a notebook imports."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import typer
from rich.markup import escape

from commands.connect import connect
from commands.identity import app as identity_app
from commands.ingest import ingest
from commands.maintain import maintain
from commands.meds import app as meds_app
from commands.person import app as person_app
from commands.terminal import (
    AsJson,
    Data,
    Home,
    Lang,
    Where,
    cell,
    err,
    hints,
    out,
    progress,
    table,
    tell,
)
from features.errors import ConfigurationError, JalonError
from features.territory import Territory, check_sections

__all__ = ["JalonError", "Territory", "app", "main", "open_territory"]

FILES = (FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
SIMULATED = "simulation/exports"
"""Where a simulated territory's exports lie in its work folder."""

app = typer.Typer(
    name="jalon",
    help="From the exports of several services to explained, shared risk scores.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
features_app = typer.Typer(
    help="Build the feature matrix; list, describe and explain features.", no_args_is_help=True
)
app.add_typer(features_app, name="features")
app.add_typer(identity_app, name="identity")
app.add_typer(meds_app, name="meds")
app.add_typer(person_app, name="person")
FeatureName = Annotated[str, typer.Argument(metavar="FEATURE", help="A name from `list`.")]


def open_territory(
    where: str | Path, *, home: str | Path | None = None, data: str | Path | None = None
) -> Territory:
    """A territory whose three sections have been checked.

    Args:
        where: A name under ``territories/``, a folder, or a YAML file.
        home: The work folder; by default ``.jalon/<name>``.
        data: The folder of the exports.

    Returns:
        The opened territory, as `features.ingest.ingest` and `training.train.train` take it.

    Raises:
        ConfigurationError: all faults of the file at once, each with its line and remedy.

    Example:
        >>> open_territory("nowhere-land")
        Traceback (most recent call last):
        features.errors.ConfigurationError: opening territory 'nowhere-land'. ...
    """
    from features.settings import FeaturesSettings
    from serving.settings import ServingSettings
    from training.settings import TrainingSettings

    territory = Territory.open(where, home=home, data=data)
    check_sections(
        territory,
        {"features": FeaturesSettings, "training": TrainingSettings, "serving": ServingSettings},
    )
    return territory


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"jalon {version('jalon')}\n")
        raise typer.Exit


@app.callback()
def _options(
    wanted: Annotated[
        bool,
        typer.Option("--version", help="Say the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """From the exports of several services to explained, shared risk scores."""


@app.command()
def simulate(
    where: Where = "demo",
    people: Annotated[int, typer.Option(min=50, help="How many people.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Same seed, same files.")] = 2026,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Play the outside world: five services' raw exports, and the truth apart."""
    territory = Territory.open(where, home=home)
    if territory.raw.get("data") != SIMULATED:
        raise ConfigurationError(
            f"simulating for territory '{territory.name}'",
            expected=f"a territory that reads the simulated exports (data: {SIMULATED})",
            got="one with exports of its own",
            hint="jalon simulate demo",
        )
    payload = _simulate(territory, people=people, seed=seed)
    shown = {k: v for k, v in payload.items() if not isinstance(v, dict)}
    tell(payload, as_json, lambda: _show_flat("Simulated", shown), f"jalon ingest {where}")


def _simulate(territory: Territory, people: int, seed: int = 2026) -> dict[str, Any]:
    """Play the outside world in a folder of the work folder; a set made before is kept.

    The simulated period ends where the territory's observation does. Another set is refused once
    timelines were made from the first: two populations in one table would look like one.
    """
    from features.settings import FeaturesSettings
    from simulator import SimulationError
    from simulator import simulate as run
    from simulator.clock import START
    from simulator.run import process_digest

    years = territory.section("features", FeaturesSettings).observation.until.year - START.year
    folder = territory.home / "simulation"
    described = folder / "simulation.json"
    if described.is_file() and (territory.home / "timelines").is_dir():
        before = json.loads(described.read_text(encoding="utf-8"))["arguments"]
        asked = {"people": people, "seed": seed, "years": years, "process": process_digest()}
        if any(before[name] != value for name, value in asked.items()):
            raise JalonError(
                f"simulating into '{territory.home}'",
                expected="the set that its timelines were made from",
                got="another number of people, seed, period or version of the simulator",
                hint=f"Remove '{territory.home}', or give another work folder with --home.",
            )
    with progress("simulate") as report:
        try:
            summary = run(folder, people=people, years=years, seed=seed, progress=report)
        except SimulationError as error:
            raise JalonError(str(error)) from error
    return {
        "people": summary.people,
        "days": summary.days,
        "rows": sum(summary.files.values()),
        "best_attainable_auc": round(summary.figures["auc_best_attainable"], 4),
        "already_there": summary.already_there,
        "folder": str(summary.folder),
        "seconds": summary.seconds,
        "spoiled": summary.spoiled,
        "figures": summary.figures,
    }


app.command()(connect)
app.command()(ingest)
app.command()(maintain)


@features_app.command("build")
def build_features(
    where: Where,
    sparse: Annotated[
        bool,
        typer.Option("--sparse", help="Compressed sparse rows, for thousands of columns."),
    ] = False,
    data: Data = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Build the feature matrix of the territory's cohort, as known at each prediction time."""
    from training.build_text import build_lines
    from training.building import build, build_wide

    territory = open_territory(where, home=home, data=data)
    with progress("features") as report, hints():
        result = (build_wide if sparse else build)(territory, progress=report)
    payload = result.as_dict()
    then, places = f"jalon train {where}", [territory.home / result.matrix_file]
    if sparse:
        # Training reads the dense matrix; a sparse one is for whoever opens it.
        then = f"SparseMatrix.open({str(territory.home / 'sparse')!r}).csr()"
    tell(payload, as_json, lambda: _say("\n".join(build_lines(payload))), then, places)


@features_app.command("list")
def list_features(
    where: Where,
    theme: Annotated[str | None, typer.Option(help="Only this theme.")] = None,
    group: Annotated[str | None, typer.Option(help="Only this group.")] = None,
    search: Annotated[str | None, typer.Option(help="Only those that hold this text.")] = None,
    lang: Lang = "fr",
    as_json: AsJson = False,
) -> None:
    """List the territory's features by theme: the name and what each says."""
    from features.questions import list_features as ask
    from features.questions import next_words

    found = ask(open_territory(where), theme=theme, group=group, search=search, lang=lang)
    then = f"jalon features describe {where} FEATURE"
    tell(found.payload, as_json, lambda: _say(found.text()), then, before=next_words(lang))


@features_app.command("describe")
def describe_feature(
    where: Where, feature: FeatureName, lang: Lang = "fr", as_json: AsJson = False
) -> None:
    """Say all about a feature: its exact rule, its codes, the tables and columns behind them."""
    from features.questions import describe_feature as ask
    from features.questions import next_words

    found = ask(open_territory(where), feature, lang=lang)
    then = f"jalon features explain {where} PERSON {feature}"
    tell(found.payload, as_json, lambda: _say(found.text()), then, before=next_words(lang))


@features_app.command("explain")
def explain_feature(
    where: Where,
    person: Annotated[int, typer.Argument(help="The pseudonym: subject_id in scores.")],
    feature: FeatureName,
    at: Annotated[
        str | None, typer.Option(help="Local date (2025-12-31); default: end of observation.")
    ] = None,
    lang: Lang = "fr",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show the very events behind one value of one person, as known at a date."""
    from features.questions import explain_feature as ask
    from features.settings import FeaturesSettings
    from serving.instants import read_prediction_time
    from training.peer_sources import known_peers

    territory = open_territory(where, home=home)
    instant = read_prediction_time(at, territory.section("features", FeaturesSettings))
    peers = partial(known_peers, territory=territory, at=instant)
    found = ask(territory, person, feature, instant, lang=lang, peers=peers)
    tell(found.payload, as_json, lambda: _say(found.text()), "")


@app.command()
def train(where: Where, data: Data = None, home: Home = None, as_json: AsJson = False) -> None:
    """Train, compare and calibrate the models; the best one becomes the champion."""
    from training.train import train as run

    territory = open_territory(where, home=home, data=data)
    with progress("train") as report, hints():
        result = run(territory, progress=report)
    then = f"jalon score {where}"
    tell(result.as_dict(), as_json, lambda: _say(result.text()), then, _trained(territory))


@app.command()
def score(
    where: Where,
    at: Annotated[
        str | None, typer.Option(help="Local date (2025-12-31); default: end of observation.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Score everyone in an open pathway, with reasons, as known at a date."""
    from serving.scoring import score_territory

    territory = open_territory(where, home=home)
    with progress("score") as report:
        result = score_territory(territory, at=at, progress=report)
    payload = result.as_dict()
    then = f"jalon serve {where}"
    if not result.people:
        then = f"nobody is at risk at that date; give another: jalon score {where} --at 2025-06-01"
    tell(payload, as_json, lambda: _show_flat("Scored", payload), then)


@app.command()
def key(
    where: Where,
    service: Annotated[
        str | None, typer.Argument(help="The service that will call; none lists the keys.")
    ] = None,
    revoke: Annotated[
        str | None, typer.Option(help="Refuse the key of this prefix from now on.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Create an API key for a service (shown once, stored hashed), list the keys, or revoke one."""
    from serving.access import create_key, list_keys, revoke_key
    from serving.database import Database
    from serving.settings import ServingSettings

    territory = open_territory(where, home=home)
    if service is None or revoke is not None:
        database = Database.open(territory, territory.section("serving", ServingSettings))
        try:
            if revoke is not None:
                revoke_key(database, revoke)
            records = [asdict(record) for record in list_keys(database)]
        finally:
            database.close()
        rows = [list(record.values()) for record in records]
        columns = list(records[0]) if records else ["no key yet"]
        show = partial(out.print, table("API keys", columns, rows))
        tell({"keys": records}, as_json, show, f"jalon key {where} SERVICE")
        return
    secret = create_key(territory, service)
    if as_json:
        sys.stdout.write(json.dumps({"service": service, "key": secret}) + "\n")
    else:
        sys.stdout.write(secret + "\n")
        err.print("[dim]Keep it now: it is stored hashed and cannot be shown again.[/dim]")


@app.command()
def serve(
    where: Where = "demo",
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Serve the champion: POST /score, POST /score_timelines, a page that says what runs."""
    from serving.serve import run

    def say(address: str) -> None:
        sys.stdout.write(json.dumps({"address": address}) + "\n")
        sys.stdout.flush()

    territory = open_territory(where, home=home)
    run(territory, host=host, port=port, ready=say if as_json else None)


@app.command()
def demo(
    people: Annotated[int, typer.Option(min=50, help="How many people.")] = 20_000,
    then_serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Serve at the end, until Ctrl-C.")
    ] = True,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Simulate, ingest, train, score and serve the demo territory."""
    from features.ingest import ingest as run_ingest
    from serving.scoring import score_territory
    from serving.serve import check_port, run
    from training.train import train as run_train

    territory = open_territory("demo", home=home)
    if then_serve:
        check_port(territory)
    started = time.perf_counter()
    simulated = _simulate(territory, people=people)
    with progress("ingest  ") as report:
        ingested = run_ingest(territory, progress=report)
    with progress("train   ") as report, hints():
        trained = run_train(territory, progress=report)
    with progress("score   ") as report:
        scored = score_territory(territory, progress=report)
    payload = {
        "simulate": simulated,
        "ingest": ingested.as_dict(),
        "train": trained.as_dict(),
        "score": scored.as_dict(),
        "seconds": round(time.perf_counter() - started, 1),
    }

    def show() -> None:
        _say(ingested.text())
        _say(trained.text())
        _show_flat("Scored", scored.as_dict())
        out.print(f"All of it took {payload['seconds']} s.", highlight=False)

    then, places = "" if then_serve else "jalon serve demo", [territory.home, *_trained(territory)]
    tell(payload, as_json, show, then, places)
    if then_serve:
        run(territory)


def _trained(territory: Territory) -> list[Path]:
    """Where a training's reports and models lie."""
    pages = [territory.home / "reports" / f"training.{lang}.html" for lang in ("fr", "en")]
    return [*pages, territory.home / "mlflow"]


def _say(text: str) -> None:
    """Text that is laid out already."""
    sys.stdout.write(text + "\n\n")


def _show_flat(title: str, payload: Mapping[str, Any]) -> None:
    """Names and values, aligned; what is nested by a line for each of its entries."""
    rows: list[tuple[str, str]] = []
    for name, value in payload.items():
        if isinstance(value, Mapping):
            rows += [(f"{name} {inner}".replace("_", " "), cell(v)) for inner, v in value.items()]
        elif not isinstance(value, list):
            rows.append((name.replace("_", " "), cell(value)))
    width = max(len(name) for name, _ in rows)
    _say("\n".join([title, *(f"  {name.ljust(width)}  {value}" for name, value in rows)]))


def _defect(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say where an unforeseen error arose, without its message: it may quote a person's data."""
    frames = traceback.extract_tb(trace)[-3:]
    place = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
    err.print(f"[bold red]jalon:[/bold red] a defect: {kind.__name__} at {place}", highlight=False)
    err.print("Set JALON_DEBUG=1 to see all of it, on a screen that nobody else reads.")
    if os.environ.get("JALON_DEBUG"):
        sys.__excepthook__(kind, error, trace)


def main() -> None:
    """Run the command line: 0 done, 1 an error to act on, 2 a wrong call, 130 interrupted."""
    sys.excepthook = _defect
    # Scores, timelines and keys are for the one who runs this, not for every user of the machine.
    os.umask(0o077)
    try:
        app(standalone_mode=True)
    except ConfigurationError as error:
        # A hint may hold brackets, which are no markup: "Write [all]".
        said = escape(str(error))
        err.print(f"[bold red]jalon:[/bold red] {said}", highlight=False, soft_wrap=True)
        sys.exit(2)
    except JalonError as error:
        # A hint may hold brackets, which are no markup: "Write [all]".
        said = escape(str(error))
        err.print(f"[bold red]jalon:[/bold red] {said}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except FILES as error:
        # A folder where a file stands, a path without its folder, a place that may not be written.
        place = "" if error.filename is None else f" '{Path(error.filename).name}'"
        err.print(
            f"[bold red]jalon:[/bold red] using the path{escape(place)}: {error.strerror}. "
            "Hint: Correct the path that was given (--home, --data, --to), or its access rights.",
            highlight=False,
            soft_wrap=True,
        )
        if os.environ.get("JALON_DEBUG"):
            raise
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
