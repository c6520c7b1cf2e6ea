"""The command as a person types it: help, wrong calls, exit codes, where messages go."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serving.serve import free_port

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("simulate", "ingest", "features", "train", "score", "serve", "demo", "key")


def jalon(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "jalon", *arguments], cwd=cwd, capture_output=True, text=True
    )


def test_help_names_every_command() -> None:
    done = jalon("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert f" {command} " in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str) -> None:
    done = jalon(command, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout


def test_an_unknown_territory_is_a_wrong_call_with_the_nearest_name() -> None:
    done = jalon("ingest", "dmeo")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Did you mean 'demo'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_faulty_file_lists_all_faults_of_all_sections(tmp_path: Path) -> None:
    file = tmp_path / "territory.yaml"
    text = (ROOT / "territories" / "demo" / "territory.yaml").read_text(encoding="utf-8")
    text = text.replace("  timezone:", "  timzone:", 1).replace("horizon_days:", "horizn_days:", 1)
    file.write_text(text.replace("  bands:", "  bandz:", 1), encoding="utf-8")
    done = jalon("train", str(file))
    assert done.returncode == 2
    for key, near in (
        ("timzone", "timezone"),
        ("horizn_days", "horizon_days"),
        ("bandz", "bands"),
    ):
        assert key in done.stderr
        assert f"Did you mean '{near}'?" in done.stderr


@pytest.mark.parametrize("command", ["ingest", "features", "train", "score", "serve"])
def test_a_step_taken_too_early_says_which_comes_first(command: str, tmp_path: Path) -> None:
    port = ["--port", str(free_port())] if command == "serve" else []
    done = jalon(command, "demo", "--home", str(tmp_path / "empty"), *port)
    assert done.returncode == 1
    hints = done.stderr.split("Hint: ")[1:]
    assert any("jalon " in hint for hint in hints)
    assert "Traceback" not in done.stderr
