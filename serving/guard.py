"""What every request passes first: an id, a key, safe headers, one form of error, one log line."""

from __future__ import annotations

import logging
import time
import uuid
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access import authenticate
from serving.problems import MEDIA_TYPE, Problem, code_of, language_of, respond

if TYPE_CHECKING:
    from serving.state import ServiceState

__all__ = ["HEADERS", "KEYED_PATHS", "OPEN_PATHS", "Guard"]

log = logging.getLogger(__name__)

OPEN_PATHS = frozenset({"/", "/healthz", "/livez", "/readyz", "/openapi.json", "/static/jalon.css"})
"""Paths that answer without a key; whatever is not named here needs one."""
KEYED_PATHS = frozenset({"/score", "/score_timelines"})
"""Paths of the service that need a key, as the log may name them."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """ASGI middleware around the whole service, the framework's own routes included.

    Refusing by default means that a route added later, ours or the framework's, asks for a key
    until it is named in :data:`OPEN_PATHS`. Without a key every other path answers 401, whether
    it exists or not. The log line names only paths of the service: any other may hold what a
    person mistyped.

    Args:
        app: What is guarded.
        state: The open territory, whose state database knows the keys.
    """

    def __init__(self, app: ASGIApp, state: ServiceState) -> None:
        self.app = app
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on what is not one."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = str(uuid.uuid4())
        facts: dict[str, Any] = {"request_id": request_id, "caller": None}
        scope["jalon"] = facts
        lang = language_of(Request(scope), self.state.language)
        seen: dict[str, Any] = {"status": 0, "replaced": False}

        async def guarded_send(message: Message) -> None:
            if seen["replaced"]:
                return
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                seen["status"] = message["status"]
                if message["status"] >= 400 and headers.get("content-type") != MEDIA_TYPE:
                    seen["replaced"] = True
                    await refuse(Problem(code_of(message["status"])))
                    return
            await send(message)

        async def refuse(problem: Problem) -> None:
            response = respond(problem, lang, request_id)
            response.headers["X-Request-ID"] = request_id
            response.headers.update(HEADERS)
            seen["status"] = response.status_code
            await response(scope, receive, send)

        started = time.perf_counter()
        try:
            refusal = await self._check(scope, facts)
            if refusal is None:
                await self.app(scope, receive, guarded_send)
            else:
                await refuse(refusal)
        finally:
            self._tell(scope, facts, seen["status"], time.perf_counter() - started)

    async def _check(self, scope: Scope, facts: dict[str, Any]) -> Problem | None:
        """The problem that stops a request, if any; notes who calls."""
        if scope["path"] in OPEN_PATHS:
            return None
        database = self.state.database
        if database is None:
            return Problem("not_ready")
        header = Request(scope).headers.get("authorization")
        caller = await anyio.to_thread.run_sync(authenticate, database, header)
        if caller is None:
            return Problem("unauthorized")
        facts["caller"] = caller
        return None

    def _tell(self, scope: Scope, facts: dict[str, Any], status: int, seconds: float) -> None:
        path = scope["path"]
        known = path in OPEN_PATHS or path in KEYED_PATHS
        caller = facts["caller"]
        log.info(
            "%s %s %d %.1f ms service=%s request=%s%s",
            scope["method"] if scope["method"].isalpha() else "(method)",
            path if known else "(unknown path)",
            status,
            seconds * 1000,
            caller.service if caller else "-",
            facts["request_id"],
            "".join(f" {key}={value}" for key, value in facts.get("counts", {}).items()),
        )
