"""Lines that no reader could split: found, shown and erased whatever reader they are of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from features.aside_files import aside_files
from features.aside_lines import drop_lines, lines_of
from features.identity import Vault
from features.ingest import ingest
from features.set_aside import PURPOSE
from features.settings import FeaturesSettings
from features.territory import Territory

# The source reads CSV: that this table is of JSON is said by the table alone.
TOWN = """\
features:
  observation: {since: 2020-01-01, until: 2026-01-01}
  buckets: 2
  sources:
    social:
      service: social
      reader: READER
      options: {delimiter: ";"}
      person: {system: social, columns: dossier}
      tables:
        - path: "rdv.txt"
          reader: OWN
          row_key: id
          events:
            - {code: "CONTACT//APPOINTMENT//SEEN", time: le, recorded_at: saisi}
"""
HERS, OTHERS = "DOS-00003", "DOS-00004"
NAMES = ("id", "dossier", "le", "saisi")
SPACED, COMPACT = (", ", ": "), (",", ":")


def good(person: str, number: str) -> tuple[str, ...]:
    return (number, person, "2024-01-02", "2024-01-03")


def csv_lines() -> tuple[list[str], int]:
    """Lines of a CSV file, and how many of hers cannot be split."""
    rows = [";".join(good(person, person)) for person in (HERS, OTHERS)]
    odd = [f"x;{HERS};2024-01-02", f'y;"{HERS}";2024-01-02;2024-01-03;many']
    return [";".join(NAMES), *rows, *odd, f"z;{OTHERS};2024-01-02"], len(odd)


def json_lines(separators: tuple[str, str]) -> tuple[list[str], int]:
    """Lines of a JSON file, and how many of hers are damaged."""

    def said(person: str, number: str, **more: object) -> str:
        row = dict(zip(NAMES, good(person, number), strict=True)) | more
        return json.dumps(row, separators=separators)

    quoted = f'"{HERS}"'
    hers = said(HERS, "x")
    odd = [
        hers[:-1],
        hers[: hers.index(HERS) + len(HERS)],
        hers.replace(quoted, quoted[1:]),
        hers.replace(quoted, quoted[:-1]),
        said(HERS, "x", le={"jour": 2}),
        said(HERS, "x", le="\ud83d"),
        hers[:-1].replace("-", "\\u002d"),
        hers[:-1] + separators[0] + '"dossier"' + separators[1] + f'"{OTHERS}"',
        said("{}", "x").replace('"{}"', HERS),
        json.dumps([HERS, 3], separators=separators),
    ]
    lines = [said(HERS, "a"), said(OTHERS, "b"), *odd, said(OTHERS, "z")[:-1]]
    return lines, len(odd)


def played(folder: Path, reader: str, own: str, lines: list[str]) -> Territory:
    (folder / "exports").mkdir()
    (folder / "exports" / "rdv.txt").write_text("\n".join(lines) + "\n")
    file = folder / "town.yaml"
    file.write_text(TOWN.replace("READER", reader).replace("OWN", own))
    territory = Territory.open(file, home=folder / "home", data=folder / "exports")
    ingest(territory)
    return territory


@pytest.mark.parametrize("turned", [False, True], ids=["table", "source"])
@pytest.mark.parametrize("kind", ["csv", "spaced", "compact"])
def test_damaged_lines_of_a_person_are_found_and_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, turned: bool
) -> None:
    monkeypatch.delenv("JALON_KEY", raising=False)
    own, source = ("csv", "jsonl") if kind == "csv" else ("jsonl", "csv")
    lines, count = csv_lines() if kind == "csv" else json_lines(globals()[kind.upper()])
    territory = played(tmp_path, own if turned else source, own, lines)
    settings = territory.section("features", FeaturesSettings)
    aside = territory.home / "set-aside"
    vault = Vault.open(territory.home / "identity")
    secret = vault.secret_for(PURPOSE)

    def mine(system: str, values: list[str]) -> list[bool]:
        return [system == "social" and one == HERS for one in values]

    found = [one["raw"]["line"] for one in lines_of(aside, settings, secret, mine)]
    assert len(found) == count
    assert set(found) < set(lines)
    vault.forget(int(vault.resolve("social", [HERS])[0]))
    assert drop_lines(aside, settings, secret, vault.was_erased) == count
    vault.close()
    [left] = aside_files(aside)
    assert left.rows == 1


def test_a_number_is_an_identifier_too_and_a_word_within_a_text_is_none(tmp_path: Path) -> None:
    lines = [
        '{"id":"a","dossier":12,"le":"2024-01-02","saisi":"2024-01-03"}',
        '{"id":"b","dossier":12,"le":"2024-01-02","saisi":"2024-01-03"',
        '{"id":"c","dossier":"rue 12, 12","le":"2024-01-02","saisi":"2024-01-03"',
    ]
    territory = played(tmp_path, "jsonl", "jsonl", lines)
    settings = territory.section("features", FeaturesSettings)
    vault = Vault.open(territory.home / "identity")
    secret = vault.secret_for(PURPOSE)
    vault.forget(int(vault.resolve("social", ["12"])[0]))
    assert drop_lines(territory.home / "set-aside", settings, secret, vault.was_erased) == 1
    vault.close()
