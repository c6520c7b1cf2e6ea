"""The tables of a database, for a draft: it is asked for their names, and read later."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from features.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from features.sources.sql import DatabaseTable

__all__ = ["database_tables"]


def database_tables(address: str) -> tuple[str, list[DatabaseTable]]:
    """The name of a database, and its tables and views that the user may see.

    Only the usual schema of the connection is looked at.

    Args:
        address: As a territory writes it: what is secret stands in the environment.

    Returns:
        The name, without server or user, and the tables, sorted.

    Raises:
        ConfigurationError: no address, one with a password in it, or a variable that is not set.
        DataError: a server that does not answer or let in, or a database without tables.
    """
    from sqlalchemy import inspect

    from features.sources.addresses import Address
    from features.sources.databases import connected
    from features.sources.sql import DatabaseTable

    try:
        written = Address.of(address)
    except ValueError as error:
        rule, _, hint = str(error).partition(". Hint: ")
        raise ConfigurationError(
            "looking at a database",
            expected="its address, without a secret",
            got=rule,
            hint=f"{hint} (in single quotes, so that the shell leaves it alone).",
        ) from None
    url = written.resolved(Path())
    name = Path(str(url.database)).stem
    with connected(url, name) as connection:
        found = inspect(connection)
        names = sorted({*found.get_table_names(), *found.get_view_names()})
    if not names:
        raise DataError(
            f"looking at database '{name}'",
            expected="tables or views that this user may see",
            got="none",
            hint="Have the right to read them granted.",
        )
    quoted = [f'"{one}"' if "." in one else one for one in names]
    return name, [DatabaseTable(one, written) for one in quoted]
