"""`jalon identity`: uncertain pairs, merges and splits, a new key, a person's pseudonym."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.terminal import AsJson, Home, Lang, Where, err, out, progress, table, tell
from features.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from features.identity import Act, Vault
    from features.identity.review import Pair
    from features.timelines import Timelines

__all__ = ["app"]

app = typer.Typer(
    help="Who is who: uncertain pairs, merges and splits, a new key, a person's pseudonym.",
    no_args_is_help=True,
)
Person = Annotated[int, typer.Argument(metavar="PERSON", help="A pseudonym.")]
Why = Annotated[str, typer.Option(help="request, error or review.")]
STALE = "features, models and scores know the former pseudonyms: jalon features build {where}"


@contextmanager
def _opened(where: str, home: Any) -> Iterator[tuple[Vault, Timelines | None]]:
    """The vault and the timelines, held alone, each knowing what the other knows."""
    from features.identity import Vault
    from features.identity.settling import settle
    from features.ingest import alone
    from features.timelines import Timelines
    from jalon import open_territory

    territory = open_territory(where, home=home)
    folder = territory.home / "identity"
    if not (folder / "vault.sqlite").exists():
        raise DataError(
            f"opening the vault of '{territory.name}'",
            expected=f"a vault in '{folder}'",
            got="none",
            hint=f"Run `jalon ingest {where}` first.",
        )
    with alone(territory.home):
        vault = Vault.open(folder)
        lies = territory.home / "timelines"
        timelines = Timelines.open(lies) if lies.exists() else None
        try:
            if timelines is not None:
                settle(vault, timelines)
            yield vault, timelines
            if timelines is not None:
                settle(vault, timelines)
        finally:
            vault.close()


@app.command()
def review(
    where: Where,
    accept: Annotated[
        list[int] | None, typer.Option(help="Make the two persons of this pair one.")
    ] = None,
    refuse: Annotated[
        list[int] | None, typer.Option(help="The two persons of this pair are two.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Pairs to show at most.")] = 20,
    lang: Lang = "fr",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Decide on uncertain pairs, shown side by side on the terminal and nowhere else.

    Without --accept or --refuse, and on a terminal, each pair is shown and asked about. The JSON
    object and an output that is no terminal hold pseudonyms only.
    """
    from features.identity.review import accept as take
    from features.identity.review import open_pairs
    from features.identity.review import refuse as leave

    with _opened(where, home) as (vault, _):
        accepted = [asdict(take(vault, number)) for number in accept or []]
        for number in refuse or []:
            leave(vault, number)
        decided = bool(accept or refuse)
        pairs = [] if decided else open_pairs(vault, limit)
        asked = sys.stdin.isatty() and out.is_terminal and not as_json
        if asked:
            accepted += _ask(vault, pairs, lang)
            pairs = open_pairs(vault, limit) if pairs else []
        payload = {
            "accepted": accepted,
            "refused": refuse or [],
            "open": [_without_identity(pair) for pair in pairs],
        }
    then = f"jalon identity review {where} --accept N" if pairs else f"jalon identity list {where}"
    tell(payload, as_json, lambda: _show_pairs(payload), then)


@app.command()
def merge(
    where: Where,
    kept: Person,
    other: Person,
    why: Why = "request",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make two persons one: the second becomes the first, in the vault and in timelines."""
    with _opened(where, home) as (vault, _):
        act = vault.merge(kept, other, why)
    _told(act, where, as_json)


@app.command()
def split(
    where: Where,
    person: Person,
    identifiers: Annotated[
        list[int], typer.Argument(help="Pseudonyms of the identifiers to take out, from `list`.")
    ],
    why: Why = "error",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Take identifiers out of a person: they become a person of their own."""
    with _opened(where, home) as (vault, _):
        act = vault.split(person, identifiers, why)
    _told(act, where, as_json)


@app.command()
def undo(
    where: Where,
    number: Annotated[int, typer.Argument(help="Of the act, from `list`.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Take a merge or a split back, in the vault and in timelines."""
    with _opened(where, home) as (vault, _):
        act = vault.undo(number)
    _told(act, where, as_json)


@app.command("list")
def list_acts(
    where: Where,
    person: Annotated[int | None, typer.Argument(metavar="[PERSON]", help="A pseudonym.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Acts to list at most, the latest.")] = 50,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List merges and splits; or, of a person, the systems that know them."""
    with _opened(where, home) as (vault, _):
        acts = [asdict(act) for act in vault.acts()]
        held: list[tuple[str, int]] = []
        if person is not None:
            vault.check_known(person)
            held = vault.identifiers(person)
            acts = [act for act in acts if person in (act["kept"], act["other"])]
    acts = acts[-limit:]
    payload: dict[str, Any] = {"acts": acts}
    if person is not None:
        payload |= {"person": person, "identifiers": [list(one) for one in held]}

    def show() -> None:
        if held:
            rows = [[system, str(issued)] for system, issued in held]
            out.print(table("Identifiers", ["system", "pseudonym"], rows))
        columns = ["act", "kind", "why", "at", "kept", "other", "identifiers", "undone by"]
        rows = [
            [str(value) if value is not None else "-" for value in act.values()] for act in acts
        ]
        out.print(table("Acts", columns, rows))

    tell(payload, as_json, show, f"jalon identity undo {where} NUMBER" if acts else "")


@app.command()
def find(where: Where, system: str, home: Home = None, as_json: AsJson = False) -> None:
    """Find a person's pseudonym; the identifier is asked for, or read from standard input.

    It is never an argument: arguments stand in the shell's history and in lists of processes.
    """
    identifier = (
        typer.prompt(f"{system}", hide_input=True, err=True)
        if sys.stdin.isatty()
        else sys.stdin.readline()
    )
    with _opened(where, home) as (vault, _):
        found = int(vault.resolve(system, [identifier.strip()])[0])
    if not found:
        raise DataError(
            f"looking up an identifier of '{system}'",
            expected="one that the vault knows",
            got="another",
            hint="Check the name of the system, and the identifier.",
        )
    tell({"person": found}, as_json, lambda: out.print(str(found), highlight=False), "")


@app.command()
def rotate(
    where: Where,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted one.")
    ] = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Take an interrupted one back.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Change the vault's key: every person gets another pseudonym, wherever one is kept.

    Scores follow; features are deleted, to be built again. With JALON_KEY set, the new secret is
    read from JALON_NEW_KEY.
    """
    from features.identity.rotation import Rotation
    from features.ingest import alone
    from features.timelines import Timelines
    from jalon import open_territory
    from serving.rights import renaming

    if resume and rollback:
        raise ConfigurationError(
            "changing the key",
            expected="one of --resume and --rollback",
            got="both",
            hint="Give --resume to finish, --rollback to go back.",
        )
    territory = open_territory(where, home=home)
    with alone(territory.home), renaming(territory) as scores, progress("rotate") as report:
        lies = territory.home / "timelines"
        timelines = Timelines.open(lies) if lies.exists() else None
        rotation = Rotation(territory.home / "identity", timelines, scores)
        if rollback:
            rotation.roll_back()
            tell({"rolled_back": True}, as_json, lambda: out.print("Rolled back."), "")
            return
        steps = iter((0.1, 0.4, 0.8, 0.9))

        def say(step: str) -> None:
            report(step, next(steps, 0.9))

        done = rotation.resume(say) if resume else rotation.start(say)
    payload = asdict(done)

    def show() -> None:
        rows = [[name.replace("_", " "), value] for name, value in payload.items()]
        out.print(table("New key", ["what", "count"], rows))
        if done.variable:
            err.print("Put the new secret in JALON_KEY now; the former one opens nothing more.")

    then = f"features were deleted, build them again: jalon features build {where}"
    tell(payload, as_json, show, then)


def _ask(vault: Vault, pairs: list[Pair], lang: str) -> list[dict[str, Any]]:
    from features.identity.review import accept, refuse
    from features.texts import read_texts

    text = read_texts("features", lang, "identity")
    accepted = []
    for pair in pairs:
        out.print(_side_by_side(pair, text))
        answer = typer.prompt(text["ask"], default=text["later"][0], err=True).strip().lower()[:1]
        if answer == text["same"][0]:
            accepted.append(asdict(accept(vault, pair.number)))
        elif answer == text["two"][0]:
            refuse(vault, pair.number)
        elif answer == text["stop"][0]:
            break
    return accepted


def _side_by_side(pair: Pair, text: dict[str, str]) -> Any:
    chance = "" if pair.chance is None else f", {100 * pair.chance:.1f} %"
    title = f"{text['pair']} {pair.number} ({text[pair.reason]}{chance})"
    rows = [[text["systems"], *(", ".join(one) for one in pair.systems)]]
    names = list(dict.fromkeys(name for side in pair.said for one in side for name in one))
    for name in names:
        cells = [
            " / ".join(dict.fromkeys(s[name] for s in side if name in s)) for side in pair.said
        ]
        rows.append([text[name], *cells])
    return table(title, ["", "A", "B"], rows)


def _without_identity(pair: Pair) -> dict[str, Any]:
    kept = asdict(pair)
    del kept["said"]
    return kept


def _show_pairs(payload: dict[str, Any]) -> None:
    out.print(f"accepted {len(payload['accepted'])}, refused {len(payload['refused'])}")
    rows = [
        [one["number"], one["reason"], one["chance"], *map(str, one["subjects"])]
        for one in payload["open"]
    ]
    if rows:
        out.print(table("Open pairs", ["pair", "reason", "chance", "A", "B"], rows))


def _told(act: Act, where: str, as_json: bool) -> None:
    payload = asdict(act)

    def show() -> None:
        rows = [[name.replace("_", " "), str(value)] for name, value in payload.items()]
        out.print(table("Act", ["what", "value"], rows))

    tell(payload, as_json, show, STALE.format(where=where))
