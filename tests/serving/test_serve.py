from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from features.errors import JalonError
from features.territory import Territory
from serving.access import create_key
from serving.serve import check_port, environment, free_port, run, start, stop, wait_ready

if TYPE_CHECKING:
    from tests.serving.conftest import Town


def test_a_port_in_use_is_said_before_anything_starts(town: Town) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for attempt in (check_port, run):
            with pytest.raises(JalonError, match=f"port {port}.*Hint: .*--port"):
                attempt(town.territory, host="127.0.0.1", port=port)


def test_serving_too_early_names_the_step_before(town: Town, tmp_path: Path) -> None:
    nothing = Territory.open(town.territory.file, home=tmp_path)
    with pytest.raises(JalonError, match=r"Hint: .*jalon "):
        run(nothing, port=free_port())


def test_the_environment_tells_a_worker_where_and_nobody_else(town: Town) -> None:
    given = environment(town.territory)
    assert Path(given["JALON_TERRITORY"]).is_absolute()
    assert Path(given["JALON_TERRITORY_HOME"]) == town.territory.home.resolve()
    assert given["BENTOML_DO_NOT_TRACK"] == "True"
    assert Path(given["BENTOML_HOME"]).is_relative_to(town.territory.home.resolve())


def test_a_service_without_a_model_says_so_and_stops_cleanly(town: Town, tmp_path: Path) -> None:
    nothing = Territory.open(town.territory.file, home=tmp_path / "home")
    key = create_key(nothing, "social")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (tmp_path / "log").open("wb") as log:
        process = start(nothing, host="127.0.0.1", port=port, output=log)
        try:
            with pytest.raises(JalonError, match=r"Hint: .*jalon ingest"):
                wait_ready(process, url, unready=lambda: run(nothing, port=free_port()))
            assert httpx.get(f"{url}/healthz").status_code == 200
            assert httpx.get(f"{url}/readyz").json()["code"] == "not_ready"
            assert "pas prêt" in httpx.get(url).text
            body = {"persons": [{"id": "D1"}]}
            headers = {"Authorization": f"Bearer {key}"}
            response = httpx.post(f"{url}/score", json=body, headers=headers)
            assert (response.status_code, response.json()["code"]) == (503, "not_ready")
            assert httpx.post(f"{url}/score", json=body).status_code == 401
        finally:
            stop(process)
    assert process.poll() is not None
    check_port(nothing, port=port)
    assert "jalon ingest" in (tmp_path / "log").read_text(encoding="utf-8")


def test_a_server_that_ends_is_an_error_not_a_wait() -> None:
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(JalonError, match="exit code 3"):
        wait_ready(process, f"http://127.0.0.1:{free_port()}", seconds=60)


def test_the_command_says_its_address_and_takes_its_server_with_it(
    town: Town, tmp_path: Path
) -> None:
    port = free_port()
    log = tmp_path / "log"
    arguments = [str(town.territory.file), "--home", str(town.territory.home), "--port", str(port)]
    with log.open("wb") as output:
        command = subprocess.Popen(
            [sys.executable, "-m", "jalon", "serve", *arguments],
            cwd=tmp_path,
            stdout=output,
            stderr=output,
        )
        end = time.monotonic() + 90
        while f"at http://localhost:{port} " not in log.read_text(encoding="utf-8"):
            assert command.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        assert httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
        command.send_signal(signal.SIGTERM)
        assert command.wait(30) == 130
    check_port(town.territory, port=port)


def test_importing_the_package_pulls_nothing_heavy() -> None:
    heavy = "{'bentoml', 'mlflow', 'pandas', 'starlette', 'sqlalchemy', 'numba', 'jinja2'}"
    code = f"import sys, serving, serving.settings; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
