"""Starting the service: a BentoML server in its own process, watched until it is ready."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

from features.errors import JalonError
from features.territory import Territory
from serving.settings import ServingSettings
from serving.state import HOME_VARIABLE, TERRITORY_VARIABLE

__all__ = ["check_port", "environment", "free_port", "run", "serving", "start", "wait_ready"]

READY_SECONDS = 120.0


def check_port(territory: Territory, host: str | None = None, port: int | None = None) -> None:
    """Make sure that nothing listens where the service will.

    Raises:
        JalonError: the port is in use, or may not be opened.
    """
    host, port = _address(territory, host, port)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise JalonError(
                f"listening on {host} port {port}",
                expected="a port that is free and may be opened",
                got=error.strerror or type(error).__name__,
                hint="Stop what uses it, or give another one with --port or 'serving.port'.",
            ) from error


def run(
    territory: Territory,
    host: str | None = None,
    port: int | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve a territory's champion until interrupted, and tell the address when it is ready.

    Args:
        territory: With timelines and a champion.
        host: IP address to listen on; by default the territory file's.
        port: Port to listen on; by default the territory file's.
        ready: Told the address; by default it is printed on standard error.

    Raises:
        JalonError: no timelines, no champion, port in use, or a server that does not come up.
    """
    check_port(territory, host, port)
    if not (territory.home / "mlflow" / "mlflow.db").is_file():
        _check_loads(territory)
    host, port = _address(territory, host, port)
    url = _url(host, port)
    before = signal.signal(signal.SIGTERM, _leave)
    process = start(territory, host=host, port=port)
    try:
        wait_ready(process, url, unready=lambda: _check_loads(territory))
        if ready is not None:
            ready(url)
        else:
            sys.stderr.write(f"Jalon serves '{territory.name}' at {url} (Ctrl-C stops it)\n")
        code = process.wait()
    finally:
        stop(process)
        signal.signal(signal.SIGTERM, before)
    if code not in (0, -signal.SIGINT, -signal.SIGTERM):
        raise JalonError(
            "serving", expected="a server that runs", got=f"exit code {code}", hint="See its log."
        )


def start(
    territory: Territory,
    *,
    host: str,
    port: int,
    output: IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start the server's processes, and do not wait.

    Args:
        territory: What to serve.
        host: IP address.
        port: Port, free.
        output: Where the log goes; by default standard error.

    Returns:
        The parent process: it starts the worker again when it dies.
    """
    return subprocess.Popen(
        [
            sys.executable, "-m", "bentoml", "serve", "serving.service:Jalon",
            "--host", host, "--port", str(port),
            "--working-dir", str(Path(__file__).resolve().parents[1]),
        ],
        env=environment(territory),
        stdin=subprocess.DEVNULL,
        stdout=output if output is not None else sys.stderr.fileno(),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip


def environment(territory: Territory) -> dict[str, str]:
    """The environment a server process needs: its territory by absolute paths, nobody told of it.

    One row is predicted faster by one thread than by several, so OpenMP gets one.
    """
    home = territory.home.resolve()
    return {
        **os.environ,
        TERRITORY_VARIABLE: str(territory.file.resolve()),
        HOME_VARIABLE: str(home),
        "BENTOML_HOME": str(home / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }


def wait_ready(
    process: subprocess.Popen[bytes],
    url: str,
    seconds: float = READY_SECONDS,
    unready: Callable[[], None] | None = None,
) -> None:
    """Wait until `/readyz` answers 200.

    Args:
        process: The started server.
        url: Its address.
        seconds: How long to wait.
        unready: Called once when the server says that it is not ready: raises what it finds.

    Raises:
        JalonError: the process ended, or the time is over.
    """
    end = time.monotonic() + seconds
    state = "no answer"
    while time.monotonic() < end:
        if process.poll() is not None:
            raise JalonError(
                "starting the service",
                expected="a server that runs",
                got=f"exit code {process.returncode}",
                hint="See its log above.",
            )
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=10) as response:  # noqa: S310
                if response.status == 200:
                    return
        except urllib.error.HTTPError as error:
            state = f"status {error.code}"
            if unready is not None:
                unready()
                unready = None
        except OSError:
            state = "no answer"
        time.sleep(0.1)
    raise JalonError(
        "starting the service",
        expected=f"status 200 at /readyz within {seconds:.0f} s",
        got=state,
        hint="See its log: it says what is missing.",
    )


def stop(process: subprocess.Popen[bytes], seconds: float = 15.0) -> None:
    """End a started server and its worker; by force when it does not within the time."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def serving(territory: Territory, log: Path, host: str = "127.0.0.1") -> Iterator[str]:
    """A ready server on a free port, stopped at the end; for tests and notebooks.

    Args:
        territory: With timelines and a champion.
        log: File that receives the server's log.
        host: IP address to listen on.

    Yields:
        The address, as ``http://127.0.0.1:49152``.
    """
    port = free_port(host)
    url = _url(host, port)
    with log.open("ab") as output:
        process = start(territory, host=host, port=port, output=output)
        try:
            wait_ready(process, url)
            yield url
        finally:
            stop(process)


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _leave(_signal: int, _frame: object) -> NoReturn:
    """On SIGTERM leave as on Ctrl-C: the server must not outlive the command."""
    raise KeyboardInterrupt


def _check_loads(territory: Territory) -> None:
    """Fail with the error that a server without timelines or champion only writes in its log."""
    from features.timelines import Timelines
    from training.registry import load_champion

    Timelines.open(territory.home / "timelines", create=False)
    load_champion(territory)


def _address(territory: Territory, host: str | None, port: int | None) -> tuple[str, int]:
    given = {k: v for k, v in {"host": host, "port": port}.items() if v is not None}
    settings = territory.section("serving", ServingSettings)
    checked = ServingSettings.model_validate(settings.model_dump() | given)
    return checked.host, checked.port


def _url(host: str, port: int) -> str:
    shown = {"0.0.0.0": "localhost", "127.0.0.1": "localhost", "::": "localhost"}.get(host, host)  # noqa: S104
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
