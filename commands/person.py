"""`jalon person`: what is held of one person, exported, erased, objected to."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from commands.terminal import AsJson, Home, Lang, Where, err, out, progress, table, tell
from features.errors import ConfigurationError, DataError

__all__ = ["app"]

app = typer.Typer(
    help="The rights of one person: show, export, erase, object.", no_args_is_help=True
)
Person = Annotated[
    int | None,
    typer.Argument(metavar="[PERSON]", help="A pseudonym; or give --system instead.", min=1),
]
System = Annotated[
    str | None,
    typer.Option(
        help="Find the person by an identifier of this system, asked for or read from standard "
        "input: never an argument, which others can see."
    ),
]
At = Annotated[str | None, typer.Option(help="Local date that features are told at.")]


@app.command()
def show(
    where: Where,
    person: Person = None,
    system: System = None,
    lang: Lang = "fr",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show what is held of a person: events, sources, scores, rows set aside, objection."""
    from features.person_pages import lines_of_person
    from serving.rights import gather

    territory = _territory(where, home)
    held = gather(territory, _found(territory, person, system), _instant(territory, None))
    payload = held.summary()
    lines = lines_of_person(held, lang)
    then = f"jalon person export {where} {held.person} --to FOLDER"
    tell(payload, as_json, lambda: _say(lines), then)


@app.command()
def export(
    where: Where,
    person: Person = None,
    to: Annotated[
        Path | None, typer.Option(help="A new folder, or an archive whose name ends in .zip.")
    ] = None,
    system: System = None,
    at: At = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write everything held of a person into a folder or a zip that they can read.

    It holds an identity: hand it to the person, then delete it.
    """
    from features.person_pages import write_held
    from serving.rights import gather

    territory = _territory(where, home)
    found = _found(territory, person, system)
    with progress("export") as report:
        report("gathering", 0.1)
        held = gather(territory, found, _instant(territory, at), features=True)
        report("writing", 0.9)
        written = write_held(held, to or Path(f"person-{found}.zip"), territory.home)
    payload = {**held.summary(), "features": len(held.features), "files": [str(f) for f in written]}
    tell(payload, as_json, lambda: _show(payload), "", written)


@app.command()
def erase(
    where: Where,
    person: Person = None,
    system: System = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Delete everything held of a person, for good; an export that brings them again is dropped."""
    from serving.rights import erase_person

    territory = _territory(where, home)
    found = _found(territory, person, system)
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigurationError(
                "erasing a person",
                expected="--yes, where nobody can be asked",
                got="none",
                hint="Add --yes: it cannot be undone.",
            )
        typer.confirm("Erase for good?", abort=True, err=True)
    with progress("erase") as report:
        done = erase_person(territory, found, progress=report)
    payload = done.as_dict()
    then = f"the model still knows what it learned: jalon train {where}"
    tell(payload, as_json, lambda: _show(payload), then)


@app.command("object")
def object_(
    where: Where,
    person: Person = None,
    system: System = None,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the objection back.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Note that a person objects: no score and no alert from now on, until --withdraw."""
    from features.rights import object_to
    from serving.rights import opened_vault

    territory = _territory(where, home)
    found = _found(territory, person, system)
    with opened_vault(territory) as vault:
        changed = object_to(vault, found, stands=not withdraw)
    payload = {"person": found, "objects": not withdraw, "changed": changed}
    tell(payload, as_json, lambda: _show(payload), "")


@app.command()
def readmit(where: Where, system: str, home: Home = None, as_json: AsJson = False) -> None:
    """Let an erased person be met again by one identifier, with the pseudonym they had.

    The identifier is asked for, or read from standard input. The next ingest reads again the files
    that may tell of the person.
    """
    from features.rights import readmit as run
    from features.settings import FeaturesSettings
    from serving.rights import opened_vault

    territory = _territory(where, home)
    settings = territory.section("features", FeaturesSettings)
    with opened_vault(territory) as vault:
        again = run(territory.home, settings, vault, system, _asked(system))
    payload = {"readmitted": 1, "files_to_read_again": again}
    then = f"the next ingest reads these files again: jalon ingest {where}"
    tell(payload, as_json, lambda: _show(payload), then)


def _territory(where: str, home: Path | None) -> Any:
    from jalon import open_territory

    return open_territory(where, home=home)


def _found(territory: Any, person: int | None, system: str | None) -> int:
    """The pseudonym, given or found by an identifier."""
    if (person is None) == (system is None):
        raise ConfigurationError(
            "finding a person",
            expected="either a pseudonym or --system SYSTEM",
            got="both" if person is not None else "neither",
            hint="Give one of the two.",
        )
    if person is not None:
        if person >= 2**63:
            err.print("A pseudonym has at most 19 digits.")
            raise typer.Exit(2)
        return person
    from serving.rights import opened_vault

    assert system is not None
    identifier = _asked(system)
    with opened_vault(territory) as vault:
        found = int(vault.resolve(system, [identifier])[0])
    if not found:
        raise DataError(
            f"looking up an identifier of '{system}'",
            expected="one that the vault knows",
            got="another",
            hint="Check the name of the system, and the identifier.",
        )
    return found


def _asked(system: str) -> str:
    given = (
        typer.prompt(system, hide_input=True, err=True)
        if sys.stdin.isatty()
        else sys.stdin.readline()
    )
    return str(given).strip()


def _instant(territory: Any, at: str | None) -> datetime:
    from features.settings import FeaturesSettings
    from serving.instants import read_prediction_time

    instant = read_prediction_time(at, territory.section("features", FeaturesSettings))
    return instant if instant.tzinfo is None else instant.astimezone(UTC).replace(tzinfo=None)


def _say(lines: list[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n\n")


def _show(payload: dict[str, Any]) -> None:
    payload = payload | ({"person": str(payload["person"])} if "person" in payload else {})
    rows = [[name.replace("_", " "), _said(value)] for name, value in payload.items()]
    out.print(table("Person", ["what", "value"], rows))


def _said(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value
