"""Errors of the service as RFC 9457 problem details, without a person's values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse

from serving.settings import Language
from serving.wording import LANGUAGES, text

__all__ = ["CODES", "MEDIA_TYPE", "Problem", "code_of", "faults_of", "language_of", "respond"]

MEDIA_TYPE = "application/problem+json"
SHOWN = 20
"""Faults of a body that are listed; the rest is counted."""

CODES: Mapping[str, int] = {
    "bad_request": 400,
    "invalid_json": 400,
    "unauthorized": 401,
    "not_found": 404,
    "method_not_allowed": 405,
    "too_large": 413,
    "unsupported_media_type": 415,
    "invalid_body": 422,
    "internal": 500,
    "not_ready": 503,
    "busy": 503,
    "timeout": 504,
}
"""Codes of problems and their HTTP status."""


class Problem(Exception):  # noqa: N818  the standard's own word for it
    """An answer other than success, by its code.

    Args:
        code: A key of :data:`CODES`.
        errors: Fields at fault, each ``{"field": ..., "rule": ...}``.
        limit: What was exceeded, as a key under ``problem.too_large`` and a count.
        headers: More headers of the answer.
    """

    def __init__(
        self,
        code: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        limit: tuple[str, int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.errors = list(errors)
        self.limit = limit
        self.headers = dict(headers or {})


def respond(problem: Problem, lang: Language, request_id: str) -> JSONResponse:
    """The problem as an answer in a language."""
    values = {}
    if problem.limit is not None:
        kind, count = problem.limit
        values["limit"] = text(f"problem.too_large.{kind}", lang, count=count)
    status = CODES[problem.code]
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": text(f"problem.{problem.code}.title", lang),
        "status": status,
        "detail": text(f"problem.{problem.code}.detail", lang, **values),
        "instance": f"urn:uuid:{request_id}",
        "code": problem.code,
    }
    if problem.errors:
        body["errors"] = problem.errors[:SHOWN]
        body["errors_total"] = len(problem.errors)
    headers = dict(problem.headers)
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="jalon"'
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def code_of(status: int) -> str:
    """The code that stands for an HTTP status.

    Example:
        >>> code_of(404), code_of(418), code_of(502)
        ('not_found', 'bad_request', 'internal')
    """
    for code, known in CODES.items():
        if known == status and code != "invalid_json":
            return code
    return "internal" if status >= 500 else "bad_request"


def faults_of(error: ValidationError) -> list[dict[str, str]]:
    """The fields that break a rule, never what they hold: neither values nor unknown names.

    Example:
        >>> from pydantic import BaseModel, ConfigDict
        >>> class Body(BaseModel):
        ...     model_config = ConfigDict(extra="forbid")
        ...     persons: list[int]
        >>> try:
        ...     Body.model_validate_json('{"persons": [1, "Zoe"], "Anna": 1}')
        ... except ValidationError as error:
        ...     [fault["field"] for fault in faults_of(error)]
        ['persons[1]', '(unknown key)']
    """
    faults = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        path = list(item["loc"])
        if item["type"] == "extra_forbidden":
            path[-1] = "(unknown key)"
        rule = re.sub(r"^Value error, ", "", item["msg"])
        faults.append({"field": _dotted(path), "rule": rule})
    return faults


def _dotted(path: Sequence[int | str]) -> str:
    written = ""
    for step in path:
        if isinstance(step, int):
            written += f"[{step}]"
        else:
            written += f".{step}" if written else step
    return written or "(body)"


def language_of(request: Request, default: Language) -> Language:
    """The language of an answer: `?lang=`, then `Accept-Language`, then the territory's.

    Example:
        >>> def ask(query, header):
        ...     return Request({"type": "http", "query_string": query,
        ...                     "headers": [(b"accept-language", header)]})
        >>> language_of(ask(b"lang=en", b"fr"), "fr"), language_of(ask(b"", b"en-GB,fr"), "fr")
        ('en', 'en')
        >>> language_of(ask(b"lang=xx", b"de"), "fr")
        'fr'
    """
    header = request.headers.get("accept-language", "")
    wishes = [request.query_params.get("lang", "")]
    wishes += [part.split(";")[0].strip()[:2].lower() for part in header.split(",")]
    return next((lang for wish in wishes for lang in LANGUAGES if wish == lang), default)
