"""The OpenAPI 3.1 description of the service, made from the bodies it checks with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serving.problems import MEDIA_TYPE
from serving.schemas import Answer, ScoreRequest, TimelinesRequest

__all__ = ["description"]

REFERENCE = "#/components/schemas/{model}"

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "The request's id, as in X-Request-ID."},
        "code": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "rule"],
                "properties": {"field": {"type": "string"}, "rule": {"type": "string"}},
            },
        },
        "errors_total": {"type": "integer"},
    },
}

SCORE_EXAMPLE = {
    "persons": [{"id": "D0004211"}, {"id": "4821307700L", "system": "employment"}],
    "prediction_time": "2025-12-31",
    "lang": "fr",
}

TIMELINES_EXAMPLE = {
    "timelines": [
        {
            "events": [
                {
                    "time": "2025-03-03T09:00:00+01:00",
                    "recorded_at": "2025-03-03T12:00:00+01:00",
                    "code": "ORIENTATION//DECISION//SOCIAL",
                    "source": "social",
                },
                {
                    "time": "2025-11-20T10:30:00+01:00",
                    "recorded_at": "2025-11-20T18:00:00+01:00",
                    "code": "CONTACT//APPOINTMENT//SEEN",
                    "source": "social",
                    "reference": "appointment-1",
                },
                {
                    "time": "2025-12-10T10:30:00+01:00",
                    "recorded_at": "2025-12-10T18:00:00+01:00",
                    "code": "CONTACT//APPOINTMENT//NOSHOW",
                    "source": "social",
                    "reference": "appointment-2",
                },
            ]
        }
    ],
    "prediction_time": "2025-12-31",
}


@cache
def description() -> dict[str, Any]:
    """The whole document; the same object each time."""
    _, bodies = models_json_schema(
        [
            (ScoreRequest, "validation"),
            (TimelinesRequest, "validation"),
            (Answer, "serialization"),
        ],
        ref_template=REFERENCE,
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Jalon",
            "version": _version(),
            "description": "Risk of rupture of integration pathways, with reasons.",
        },
        "components": {
            "schemas": {**bodies["$defs"], "Problem": PROBLEM},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "paths": {
            "/score": {
                "post": _posting(
                    "score",
                    "Risk, band and reasons of people, by the calling service's identifiers.",
                    ScoreRequest,
                    SCORE_EXAMPLE,
                )
            },
            "/score_timelines": {
                "post": _posting(
                    "score_timelines",
                    "The same for timelines given in the request; nothing of them is kept.",
                    TimelinesRequest,
                    TIMELINES_EXAMPLE,
                )
            },
            "/healthz": {"get": _plain("healthz", "The process answers.", "text/plain")},
            "/readyz": {
                "get": _plain("readyz", "Model and timelines are loaded.", "text/plain", (503,))
            },
            "/openapi.json": {"get": _plain("openapi", "This description.", "application/json")},
            "/": {"get": _plain("index", "A page that says what runs here.", "text/html")},
        },
    }


def _posting(name: str, summary: str, body: type[BaseModel], example: Any) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "security": [{"key": []}],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _reference(body.__name__), "example": example}
            },
        },
        "responses": {
            "200": {
                "description": "One result per person or timeline, in the order of the request.",
                "content": {"application/json": {"schema": _reference("Answer")}},
            },
            **_problems((400, 401, 413, 415, 422, 503, 504)),
        },
    }


def _plain(
    name: str, summary: str, media_type: str, problems: Sequence[int] = ()
) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "security": [],
        "responses": {
            "200": {"description": summary, "content": {media_type: {}}},
            **_problems(problems),
        },
    }


def _problems(statuses: Sequence[int]) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": _reference("Problem")}}
    return {str(s): {"description": "A problem (RFC 9457).", "content": content} for s in statuses}


def _reference(model: str) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model)}


def _version() -> str:
    try:
        return version("jalon")
    except PackageNotFoundError:
        return "0"
