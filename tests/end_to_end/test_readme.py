"""What README prints works as printed: its commands exist, its curl examples answer."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from features.territory import Territory
from serving.serve import serving
from tests.end_to_end.conftest import ROOT, Ran

README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> set[str]:
    """Every command as it is called: `ingest`, `features build`."""
    import jalon

    alone = {one.name or one.callback.__name__ for one in jalon.app.registered_commands}
    grouped = {
        f"{group.name} {one.name or one.callback.__name__}"
        for group in jalon.app.registered_groups
        for one in group.typer_instance.registered_commands
    }
    return alone | grouped


def test_every_command_is_documented_and_every_documented_one_exists() -> None:
    pages = [README, *(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))]
    written = "\n".join(pages)
    groups = {command.split()[0] for command in commands() if " " in command}
    # `jalon person show|export|...` documents several at once.
    spread = {
        f"{group} {one}"
        for group, names in re.findall(r"jalon ([a-z]+) ([a-z]+(?:\|[a-z]+)+)", written)
        for one in names.split("|")
    }
    for command in commands():
        plain = command == "demo" and "make demo" in README
        assert plain or f"jalon {command}" in written or command in spread, command
    called = re.findall(r"(?:bin/|`|\$ )jalon ([a-z]+)(?: ([a-z]+))?", written)
    for first, second in called:
        assert first in commands() | groups, first
        if first in groups and second:
            assert f"{first} {second}" in commands(), (first, second)


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):.*##", makefile, re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)(?=[\s`])", README)) <= targets


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed here")
def test_the_curl_examples_answer_as_printed(demo: Ran, tmp_path: Path) -> None:
    block = README.split("## Ask for a score")[1].split("```bash\n")[1].split("```")[0]
    territory = Territory.open("demo", home=demo.home)
    with serving(territory, tmp_path / "log.txt") as address:
        command = f"{sys.executable} -m jalon key demo social --home {demo.home}"
        script = (
            block.replace(".venv/bin/jalon key demo social", command)
            .replace(".jalon/demo", str(demo.home))
            .replace("http://localhost:3000", address)
            .replace("curl -s", "echo; curl -s")
        )
        done = subprocess.run(
            ["bash", "-euc", script], cwd=ROOT, capture_output=True, text=True, check=True
        )
    by_person, by_timeline = (json.loads(line) for line in done.stdout.strip().splitlines())
    known, unknown = by_person["results"]
    assert known["status"] in {"scored", "not_at_risk"}
    assert unknown["status"] == "unknown_person"
    (scored,) = by_timeline["results"]
    assert scored["status"] == "scored"
    assert 0 <= scored["risk"] <= 1
    assert scored["reasons"]["raises"] or scored["reasons"]["lowers"]
