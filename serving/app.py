"""The HTTP routes: they read a request, have it scored in a thread, and write the answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from features.errors import JalonError
from serving.answering import Outcome
from serving.openapi import description
from serving.pages import landing
from serving.problems import Problem, code_of, faults_of, language_of, respond
from serving.rendering import answer
from serving.schemas import ScoreRequest, TimelinesRequest
from serving.settings import Language
from serving.state import ServiceState
from serving.wording import LANGUAGES

__all__ = ["build_app"]

Request_ = TypeVar("Request_", bound=BaseModel)

THREADS = 8
"""Requests computed at once; others wait."""
WAITING = 64
"""Requests that may wait; more are told to come back."""
DRAINED = 67_108_864
"""Bytes of a refused body that are still read, so that its sender gets the refusal."""
STATIC = Path(__file__).with_name("static")


class Routes:
    """The routes over an opened territory."""

    def __init__(self, state: ServiceState) -> None:
        self.state = state
        self.limiter: anyio.CapacityLimiter | None = None
        self.pending = 0

    async def index(self, request: Request) -> Response:
        """The landing page."""
        wished = request.query_params.get("lang")
        # People get the territory's language whatever their browser says; a switch changes it.
        lang = next((one for one in LANGUAGES if one == wished), self.state.language)
        address = str(request.base_url).rstrip("/")
        html = await anyio.to_thread.run_sync(landing, self.state, lang, address)
        return HTMLResponse(html, headers={"Content-Language": lang})

    async def style(self, request: Request) -> Response:
        """The landing page's style sheet."""
        return FileResponse(
            STATIC / "jalon.css", media_type="text/css", headers={"Cache-Control": "max-age=3600"}
        )

    async def openapi(self, request: Request) -> Response:
        """What the API accepts and answers, as OpenAPI 3.1."""
        return JSONResponse(description())

    async def score(self, request: Request) -> Response:
        """Scores of people by the calling service's identifiers."""
        body = await self._read(request, ScoreRequest)
        settings = self.state.settings
        if len(body.persons) > settings.max_persons:
            raise Problem("too_large", limit=("persons", settings.max_persons))
        scorer = self._scorer()
        at = _instant(scorer.prediction_time, body.prediction_time)
        service = request.scope["jalon"]["caller"].service
        systems, faults = scorer.systems_of(service, [person.system for person in body.persons])
        if faults:
            raise Problem("invalid_body", errors=faults)
        identifiers = [str(person.id) for person in body.persons]
        outcomes = await self._compute(partial(scorer.score_persons, systems, identifiers, at))
        return self._answer(request, outcomes, at, body.lang)

    async def score_timelines(self, request: Request) -> Response:
        """Scores of timelines given in the request; nothing is stored."""
        body = await self._read(request, TimelinesRequest)
        settings = self.state.settings
        if len(body.timelines) > settings.max_timelines:
            raise Problem("too_large", limit=("timelines", settings.max_timelines))
        if sum(len(timeline.events) for timeline in body.timelines) > settings.max_events:
            raise Problem("too_large", limit=("events", settings.max_events))
        scorer = self._scorer()
        at = _instant(scorer.prediction_time, body.prediction_time)
        faults = scorer.faults_of(body.timelines)
        if faults:
            raise Problem("invalid_body", errors=faults)
        outcomes = await self._compute(partial(scorer.score_timelines, body.timelines, at))
        return self._answer(request, outcomes, at, body.lang)

    def _scorer(self) -> Any:
        if self.state.scorer is None:
            raise Problem("not_ready")
        return self.state.scorer

    def _answer(
        self, request: Request, outcomes: list[Outcome], at: Any, lang: Language | None
    ) -> Response:
        counts = request.scope["jalon"]["counts"]
        for outcome in outcomes:
            counts[outcome.status] = counts.get(outcome.status, 0) + 1
        lang = lang or language_of(request, self.state.language)
        body = answer(self._scorer(), outcomes, at, lang)
        return Response(
            body.model_dump_json(exclude_none=True),
            media_type="application/json",
            headers={"Content-Language": lang},
        )

    async def _compute(self, work: Callable[[], list[Outcome]]) -> list[Outcome]:
        """Run in a thread what takes time; an answer too late is a timeout.

        The thread runs on, which harms nothing: a score that is stored twice is stored once.
        """
        if self.limiter is None:
            self.limiter = anyio.CapacityLimiter(THREADS)
        if self.pending >= THREADS + WAITING:
            raise Problem("busy", headers={"Retry-After": "1"})
        self.pending += 1
        try:
            with anyio.move_on_after(self.state.settings.timeout_seconds):
                return await anyio.to_thread.run_sync(
                    work, limiter=self.limiter, abandon_on_cancel=True
                )
        finally:
            self.pending -= 1
        raise Problem("timeout")

    async def _read(self, request: Request, model: type[Request_]) -> Request_:
        facts = request.scope["jalon"]
        facts["counts"] = {}
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != "application/json":
            raise Problem("unsupported_media_type")
        raw = await _body(request, self.state.settings.max_body_bytes)
        try:
            return model.model_validate_json(raw)
        except ValidationError as error:
            faults = faults_of(error)
            if any(item["type"] == "json_invalid" for item in error.errors(include_input=False)):
                raise Problem("invalid_json", errors=faults) from None
            raise Problem("invalid_body", errors=faults) from None


async def _body(request: Request, limit: int) -> bytes:
    """The whole body, up to a limit, whatever its announced length."""
    kept, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size <= limit:
                kept.append(chunk)
            elif size > limit + DRAINED:
                break
    except ClientDisconnect:
        raise Problem("bad_request") from None
    if size > limit:
        raise Problem("too_large", limit=("bytes", limit), headers={"Connection": "close"})
    return b"".join(kept)


def _instant(read: Callable[[str | None], Any], value: str | None) -> Any:
    try:
        return read(value)
    except JalonError as error:
        rule = f"should be {error.expected}"
        raise Problem("invalid_body", errors=[{"field": "prediction_time", "rule": rule}]) from None


def build_app(state: ServiceState) -> Starlette:
    """The routes as an application, to be mounted behind :class:`serving.guard.Guard`."""
    routes = Routes(state)

    def facts(request: Request) -> tuple[Language, str]:
        known = request.scope.get("jalon", {})
        return language_of(request, state.language), known.get("request_id", "")

    async def on_problem(request: Request, error: Exception) -> Response:
        problem = error if isinstance(error, Problem) else Problem("internal")
        return respond(problem, *facts(request))

    async def on_http(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return respond(Problem(code_of(status)), *facts(request))

    return Starlette(
        routes=[
            Route("/", routes.index, methods=["GET"]),
            Route("/static/jalon.css", routes.style, methods=["GET"]),
            Route("/openapi.json", routes.openapi, methods=["GET"]),
            # The framework would describe its own, empty, list of routes here.
            Route("/docs.json", routes.openapi, methods=["GET"]),
            Route("/score", routes.score, methods=["POST"]),
            Route("/score_timelines", routes.score_timelines, methods=["POST"]),
        ],
        exception_handlers={Problem: on_problem, HTTPException: on_http, Exception: on_problem},
    )
