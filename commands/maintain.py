"""`jalon maintain`: what is kept too long is erased, and what is left is tidied."""

from __future__ import annotations

from typing import Annotated

import typer

from commands.terminal import AsJson, Home, Where, out, progress, table, tell

__all__ = ["maintain"]


def maintain(
    where: Where,
    at: Annotated[
        str | None,
        typer.Option(
            help="Local date to count the last contact back from; default: the end of "
            "observation once it is past, or today."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would go.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Erase persons kept too long; compact timelines; delete what nothing needs any more."""
    from datetime import date

    from features.errors import ConfigurationError
    from jalon import open_territory
    from serving.rights import maintain_territory

    territory = open_territory(where, home=home)
    try:
        day = None if at is None else date.fromisoformat(at)
    except ValueError:
        raise ConfigurationError(
            "reading --at",
            expected="a date as 2025-12-31",
            got="text of another form",
            hint="Write the year first.",
        ) from None
    with progress("maintain") as report:
        done = maintain_territory(territory, day, dry_run=dry_run, progress=report)
    payload = done.as_dict()

    def show() -> None:
        flat = {**payload, **{f"erased {name}": count for name, count in done.erased.items()}}
        del flat["erased"]
        rows = [
            [name.replace("_", " "), value if isinstance(value, int) else str(value)]
            for name, value in flat.items()
        ]
        out.print(table("Maintenance", ["what", "count"], rows))

    then = f"jalon maintain {where}" if dry_run else ""
    tell(payload, as_json, show, then)
