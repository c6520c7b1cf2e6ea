"""Run by Alembic for each command: the connection comes from `serving.migration`.

From a shell, `alembic -x url=...` with this folder as script location works too.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from serving.database import Base, connect


def run(connection: Connection) -> None:
    """Apply the revisions that Alembic chose, in one transaction."""
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


# Alembic loads this file under this name; whoever else imports it must change no database.
if __name__ == "env_py":
    given = context.config.attributes.get("connection")
    if given is not None:
        run(given)
    else:
        engine = connect(make_url(context.get_x_argument(as_dictionary=True)["url"]))
        with engine.begin() as own:
            run(own)
