"""docs/connect.md, run as it is written, on exports of a French service."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.features.connect_exports import NAMES, number_of, write_appointments, write_persons

DOCUMENT = Path(__file__).parents[2] / "docs" / "connect.md"
BLOCK = re.compile(r"^```(\w+)( draft)?\n(.*?)^```$", re.M | re.S)


def plain(text: str) -> str:
    return " ".join(text.split())


def test_the_walk_from_an_export_to_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jalon import app

    for name in ("JALON_KEY", "JALON_HOME", "JALON_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    write_appointments(tmp_path / "exports")
    write_persons(tmp_path / "exports")
    ran = 0
    for kind, is_draft, content in BLOCK.findall(DOCUMENT.read_text(encoding="utf-8")):
        if kind == "csv":
            written = (tmp_path / "exports" / "rendez_vous.csv").read_text("windows-1252")
            assert all(line in written.splitlines() for line in content.splitlines())
        elif kind == "yaml" and is_draft:
            made = (tmp_path / "rdv.yaml").read_text(encoding="utf-8").splitlines()
            assert [line for line in content.splitlines() if line not in made] == []
        elif kind == "yaml":
            (tmp_path / "rdv.yaml").write_text(content, encoding="utf-8")
        else:
            command, *expected = content.splitlines()
            done = CliRunner().invoke(app, shlex.split(command)[2:])
            assert done.exit_code == 0, done.output
            said, place = plain(done.output), 0
            for line in expected:
                if line != "...":
                    assert plain(line) in said[place:], line
                    place = said.index(plain(line), place)
            for person in range(40):
                assert number_of(person) not in done.output
            assert not any(name in done.output for name in NAMES)
            assert (tmp_path / ".jalon").exists() == (ran == 3)
            ran += 1
    assert ran == 4
    report = json.loads((tmp_path / ".jalon" / "rdv" / "reports" / "ingest.json").read_text())
    assert report["sources"]["rdv"]["rows"] == 200
    assert report["sources"]["rdv"]["events"] == 390
    assert (tmp_path / ".jalon" / "rdv" / "reports" / "sources.html").is_file()
