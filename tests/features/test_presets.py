"""Presets: packaged mappings that a territory overrides; faults point where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from features.errors import ConfigurationError
from features.mapping import check_mapping
from features.optional import fitting, rule_columns
from features.presets import expanded, preset_names, written
from features.settings import FeaturesSettings, Table
from features.territory import Territory
from features.vocabulary import Vocabulary

OBSERVATION = "  observation: {since: 2020-01-01, until: 2026-01-01}\n"


def settings_of(folder: Path, source: str) -> FeaturesSettings:
    file = folder / "territory.yaml"
    lines = "\n".join(f"      {line}" for line in source.splitlines())
    file.write_text(f"features:\n{OBSERVATION}  sources:\n    shelter:\n{lines}\n", "utf-8")
    return Territory.open(file, home=folder / "home").section("features", FeaturesSettings)


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_a_mapping_of_known_codes(tmp_path: Path, name: str) -> None:
    event = "[{code: EXIT//PATHWAY//JOB, recorded_at: day}]"
    partial = [one["name"] for one in expanded({"preset": name})["tables"] if "events" not in one]
    own = "".join(f"\n  - {{name: {table}, events: {event}}}" for table in partial)
    settings = settings_of(tmp_path, f"preset: {name}" + (own and f"\ntables:{own}"))
    check_mapping(settings, Vocabulary.load())
    assert settings.sources["shelter"].preset == name
    names = [table.name for table in settings.sources["shelter"].tables]
    assert all(names)
    assert len(set(names)) == len(names)


def test_what_a_territory_says_comes_before_the_preset(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path,
        "preset: hmis\n"
        "folder: 'exports/*.zip/**'\n"
        "service: refuge\n"
        "options: {encoding: windows-1252}\n"
        "person: {system: county, columns: PersonalID}\n"
        "without: [health, disabilities]\n"
        "tables:\n"
        "  - {name: exit, row_key: EnrollmentID}\n"
        "  - name: own\n"
        "    path: own.csv\n"
        "    row_key: id\n"
        "    events: [{code: EXIT//PATHWAY//JOB, recorded_at: day}]\n",
    )
    source = settings.sources["shelter"]
    tables = {table.name: table for table in source.tables}
    assert source.service == "refuge"
    assert source.person.system == "county"
    assert source.reader == "hmis"
    assert source.options.encoding == "windows-1252"
    assert not {"health", "disabilities"} & set(tables)
    assert tables["exit"].row_key == ["EnrollmentID"]
    assert tables["exit"].path == "exports/*.zip/**/Exit.csv"
    assert len(tables["exit"].events) == 3
    assert tables["own"].path == "own.csv"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("preset: hmsi", "there is no preset 'hmsi'. Hint: Did you mean 'hmis'?"),
        ("preset: hmis\nwithout: [helth]", "has no table 'helth'. Hint: Did you mean 'health'?"),
        ("preset: hmis\nfolder: ../other", "path leads out of the folder of the exports"),
        ("preset: hmis\ntables: 3", "valid list"),
        ("preset: hmis\ntables: [3]", "valid dictionary"),
        ("preset: hmis\ntables: [{name: own, path: a.csv}]", "row_key: required key is missing"),
    ],
)
def test_a_wrong_use_of_a_preset_is_refused(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        settings_of(tmp_path, source)
    assert said in str(raised.value)


def test_a_fault_points_to_the_line_that_the_territory_wrote(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        settings_of(
            tmp_path,
            "preset: hmis\ntables:\n  - name: services\n    optional: perhaps\n",
        )
    assert ":8: features.sources.shelter.tables.0.optional:" in str(raised.value)


def test_a_fault_of_the_preset_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = expanded({"preset": "hmis"})
    broken["tables"][2]["events"][0]["kode"] = "EXIT//PATHWAY//JOB"
    monkeypatch.setattr("features.presets._read", lambda name: broken)
    with pytest.raises(ConfigurationError) as raised:
        settings_of(tmp_path, "preset: hmis")
    said = str(raised.value)
    assert ":5: features.sources.shelter.preset: preset 'hmis': tables.2.events.0.kode" in said
    assert "unknown key" in said


def test_what_a_preset_leaves_to_the_territory_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial = expanded({"preset": "hmis", "without": ["client"]})
    del partial["tables"][0]["events"], partial["service"]
    monkeypatch.setattr("features.presets._read", lambda name: partial)
    with pytest.raises(ConfigurationError) as raised:
        settings_of(tmp_path, "preset: hmis")
    said = str(raised.value)
    assert "Hint: Give 'events' in your own file, in a table of the same name." in said
    assert "Hint: Give 'service' in your own file." in said


def test_expanding_changes_neither_the_preset_nor_the_source() -> None:
    source = {"preset": "hmis", "folder": "a", "options": {"encoding": "utf-8"}}
    before = yaml.safe_dump(source)
    first = expanded(source)
    first["tables"].clear()
    assert yaml.safe_dump(source) == before
    assert expanded({"preset": "hmis"})["tables"][0]["path"] == "Client.csv"


def test_where_something_stands() -> None:
    own = {"preset": "hmis", "options": {"encoding": "x"}, "tables": [{"name": "exit", "path": 1}]}
    assert written(own, ("options", "encoding")) == ("options", "encoding")
    assert written(own, ("options", "delimiter")) is None
    assert written(own, ("person", "system")) is None
    assert written(own, ("tables", 2, "path")) == ("tables", 0, "path")
    assert written(own, ("tables", 2, "events")) is None
    assert written(own, ("tables", 0)) is None


def table_of(*rules: Mapping[str, object]) -> Table:
    return Table.model_validate({"path": "a.csv", "row_key": "id", "events": list(rules)})


def test_a_rule_is_left_out_for_each_column_that_it_reads() -> None:
    rule = {
        "code": "SOCIAL//AID_REQUEST//{state}",
        "values": {"state": {"a": "ACCEPTED"}},
        "where": {"kind": ["x"]},
        "time": "day",
        "recorded_at": "entered",
        "end_time": "until",
        "numeric_value": "amount",
        "text_value": "service",
        "reference": ["file"],
        "optional": True,
    }
    table = table_of({"code": "EXIT//PATHWAY//JOB", "recorded_at": "entered"}, rule)
    columns = ["id", *rule_columns(table.events[1])]
    assert sorted(columns[1:]) == sorted(
        ["state", "kind", "day", "entered", "until", "amount", "service", "file"]
    )
    assert fitting(table, columns) == (table, [])
    for column in set(columns) - {"id", "entered"}:
        kept, said = fitting(table, [name for name in columns if name != column])
        assert [one.code for one in kept.events] == ["EXIT//PATHWAY//JOB"]
        assert said == [f"no column '{column}': no SOCIAL//AID_REQUEST//{{state}} (optional)"]


def test_a_table_of_which_nothing_would_be_left_stays_whole() -> None:
    table = table_of({"code": "EXIT//PATHWAY//JOB", "recorded_at": "day", "optional": True})
    assert fitting(table, ["id"]) == (table, [])


def test_an_optional_rule_stands_last_of_its_code() -> None:
    rule = {"code": "EXIT//PATHWAY//JOB", "recorded_at": "day"}
    assert table_of(rule, {**rule, "optional": True}).events[1].optional
    with pytest.raises(ValueError, match="would change their ids"):
        table_of({**rule, "optional": True}, rule)
