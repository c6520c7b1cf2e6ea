"""What the real server cannot be made to do on demand: to be late, overrun, or broken."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from features.errors import ConfigurationError
from serving.app import THREADS, WAITING, Routes
from serving.guard import Guard
from serving.problems import CODES, MEDIA_TYPE, Problem
from serving.settings import ServingSettings
from serving.state import ServiceState, territory_from_environment


def state(**settings: Any) -> ServiceState:
    made = ServiceState()
    made.settings = ServingSettings(**settings)
    return made


def ask(app: Any, method: str, path: str) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://jalon") as client:
            return await client.request(method, path)

    return anyio.run(run)


def test_an_answer_too_late_is_a_timeout() -> None:
    def late() -> list[Any]:
        time.sleep(1.5)
        return []

    async def ask() -> None:
        await Routes(state(timeout_seconds=1.0))._compute(late)

    started = time.perf_counter()
    with pytest.raises(Problem, match="timeout"):
        anyio.run(ask)
    assert time.perf_counter() - started < 2.5


def test_a_queue_too_long_is_told_to_come_back() -> None:
    gate = threading.Event()
    answers: list[str] = []

    def wait() -> list[Any]:
        gate.wait(10)
        return []

    async def ask_many() -> None:
        routes = Routes(state())

        async def ask() -> None:
            try:
                await routes._compute(wait)
                answers.append("done")
            except Problem as problem:
                answers.append(f"{problem.code} {problem.headers['Retry-After']}")

        async with anyio.create_task_group() as group:
            for _ in range(THREADS + WAITING + 5):
                group.start_soon(ask)
            with anyio.fail_after(10):
                while answers.count("busy 1") < 5:
                    await anyio.sleep(0.01)
            gate.set()

    anyio.run(ask_many)
    assert answers.count("done") == THREADS + WAITING
    assert answers.count("busy 1") == 5


def test_a_fault_of_the_service_is_a_problem_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(request: Request) -> None:
        raise RuntimeError("about SECRET-77")

    app = Guard(Starlette(routes=[Route("/", broken)]), state())
    with caplog.at_level(logging.INFO):
        response = ask(app, "GET", "/")
    assert response.status_code == CODES["internal"]
    assert response.headers["content-type"] == MEDIA_TYPE
    assert response.json()["code"] == "internal"
    assert "SECRET-77" not in response.text
    assert "GET / 500" in caplog.text


def test_before_the_database_is_open_nobody_is_let_in() -> None:
    assert ask(Guard(Starlette(), state()), "POST", "/score").json()["code"] == "not_ready"


def test_no_socket_is_opened() -> None:
    sent: list[Any] = []

    async def knock() -> None:
        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        app = Guard(Starlette(), state())
        await app({"type": "websocket", "path": "/score", "headers": []}, receive, send)

    anyio.run(knock)
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_a_worker_without_a_territory_says_which_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JALON_TERRITORY", raising=False)
    made = ServiceState()
    assert made.load() is False
    with pytest.raises(ConfigurationError, match="JALON_TERRITORY"):
        territory_from_environment()
