"""A small demo territory, made by the command line as a person would, once per session."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ran:
    """A work folder, and what the command that made it printed."""

    home: Path
    printed: dict[str, Any]


def jalon_json(*arguments: str) -> dict[str, Any]:
    """Run the command line with --json and read what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "jalon", *arguments, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    home = tmp_path_factory.mktemp("work") / "demo"
    printed = jalon_json("demo", "--no-serve", "--people", "900", "--home", str(home))
    return Ran(home, printed)


@pytest.fixture(scope="session")
def oulad_data() -> Path:
    """The folder of the five OULAD exports, or a skip that says how to give it."""
    given = os.environ.get("JALON_DATA")
    bases = [Path(given)] if given else []
    bases += [ROOT.parent / "shared" / "data"]
    for base in bases:
        for folder in (base / "oulad", base):
            if (folder / "registrations.parquet").is_file():
                return folder
    pytest.skip("OULAD exports not found: set JALON_DATA to the folder that holds them")
