"""The BentoML service: an adapter of the routes, without logic."""

from __future__ import annotations

import warnings

from serving.app import build_app
from serving.guard import Guard
from serving.logs import quieten
from serving.state import ServiceState

with warnings.catch_warnings():
    # Its own imports use what pathspec and pydantic deprecate.
    warnings.simplefilter("ignore", DeprecationWarning)
    from bentoml import asgi_app, on_shutdown, service

__all__ = ["Jalon"]

STATE = ServiceState()


# The framework's access log writes every path, and its metrics label by path: both would keep what
# a person mistyped into an address. Our own log line replaces the first.
@service(
    name="jalon",
    workers=1,
    traffic={"timeout": 630},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
@asgi_app(build_app(STATE), path="/")
class Jalon:
    """Risk of rupture of integration pathways, with reasons, for the services of a territory."""

    def __init__(self) -> None:
        quieten()
        STATE.load()

    @on_shutdown
    def close(self) -> None:
        """Give back the connections."""
        STATE.close()

    def __is_ready__(self) -> bool:
        return STATE.load()


Jalon.add_asgi_middleware(Guard, state=STATE)  # type: ignore[attr-defined]
