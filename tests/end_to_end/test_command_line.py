"""The command as a person types it: help, wrong calls, exit codes, where messages go."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from serving.serve import free_port

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    "simulate", "connect", "ingest", "features", "identity", "meds", "person", "maintain", "train",
    "score", "serve", "demo", "key",
)  # fmt: skip


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


@pytest.mark.parametrize("command", ["ingest", "features build", "train", "score", "serve"])
def test_a_step_taken_too_early_says_which_comes_first(command: str, tmp_path: Path) -> None:
    port = ["--port", str(free_port())] if command == "serve" else []
    done = jalon(*command.split(), "demo", "--home", str(tmp_path / "empty"), *port)
    assert done.returncode == 1
    hints = done.stderr.split("Hint: ")[1:]
    assert any("jalon " in hint for hint in hints)
    assert "Traceback" not in done.stderr


def test_features_are_listed_by_theme_and_text_without_any_data() -> None:
    done = jalon("features", "list", "demo", "--theme", "logement", "--search", "IMPAYÉS", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["of"] > len(found["features"]) > 5
    assert {row["theme"] for row in found["features"]} == {"Logement"}
    assert all("impayés" in row["says"].lower() for row in found["features"])
    shown = jalon("features", "list", "demo", "--group", "housing.arrears", "--lang", "en")
    assert "housing.arrears.slope.365d" in shown.stdout
    assert "Rent arrears: how the values rise or fall, in 365" in shown.stdout
    assert "Next: jalon features describe demo" in shown.stdout


def test_a_feature_is_described_down_to_the_columns_of_the_territory() -> None:
    done = jalon("features", "describe", "demo", "contact.noshow.count.90d", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["says"].startswith("Absences à un rendez-vous : nombre, en 90")
    (code,) = found["events"]["événements mesurés"]
    assert code["code"] == "CONTACT//APPOINTMENT//NOSHOW"
    assert {source["service"] for source in code["sources"]} >= {"social"}
    assert all(source["columns"]["recorded_at"] for source in code["sources"])
    shown = jalon("features", "describe", "demo", "contact.noshow.count.90d", "--lang", "en")
    assert "number of events in the window" in shown.stdout


@pytest.mark.parametrize("command", ["describe demo", "explain demo 7"])
def test_an_unknown_feature_is_a_wrong_call_with_the_nearest_name(command: str) -> None:
    done = jalon("features", *command.split(), "contact.noshow.cuont.90d")
    assert done.returncode == 2
    assert "Did you mean 'contact.noshow.count.90d'?" in done.stderr


def test_a_work_folder_that_is_a_file_is_an_error_to_act_on(tmp_path: Path) -> None:
    taken = tmp_path / "taken.txt"
    taken.write_text("kept", encoding="utf-8")
    done = jalon("ingest", "demo", "--home", str(taken), "--data", str(tmp_path))
    assert done.returncode == 1
    assert "taken.txt" in done.stderr
    assert "Hint:" in done.stderr
    assert "defect" not in done.stderr
    assert "Traceback" not in done.stderr
    assert taken.read_text("utf-8") == "kept"
