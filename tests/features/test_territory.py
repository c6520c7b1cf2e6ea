"""The territory file: every fault at once, with file, line, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import ConfigurationError
from features.settings import FeaturesSettings
from features.territory import Territory

GOOD = """\
features:
  timezone: Europe/Paris
  observation: {since: 2023-01-01, until: 2026-01-01}
  sources:
    social:
      service: social
      reader: csv
      person: {system: social, columns: numero}
      tables:
        - path: social/rdv.csv
          row_key: id
          events:
            - code: CONTACT//APPOINTMENT//SEEN
              time: date
              recorded_at: {column: saisie}
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "town" / "territory.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        Territory.open(written(folder, text)).section("features", FeaturesSettings)
    return str(caught.value)


def test_a_good_file_gives_settings_and_folders(tmp_path: Path) -> None:
    territory = Territory.open(written(tmp_path, GOOD), home=tmp_path / "work")
    settings = territory.section("features", FeaturesSettings)
    assert territory.name == "town"
    assert territory.data == tmp_path / "work" / "exports"
    assert settings.services == ("social",)
    rule = settings.sources["social"].tables[0].events[0]
    assert rule.time is not None
    assert rule.time.column == "date"


def test_all_faults_come_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = GOOD.replace("timezone: Europe/Paris", "timzone: Europe/Paris").replace(
        "row_key: id", "row_keys: id"
    )
    said = refusal(tmp_path, text)
    assert "3 fault(s)" in said
    assert "territory.yaml:2: features.timzone: unknown key. Hint: Did you mean 'timezone'?" in said
    assert "territory.yaml:11: features.sources.social.tables.0.row_keys: unknown key" in said
    assert "Did you mean 'row_key'?" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("since: 2023-01-01", "since: 2027-01-01", "since must be earlier than until"),
        ("Europe/Paris", "Europe/Pariss", "no time zone"),
        ("CONTACT//APPOINTMENT//SEEN", '"CONTACT//APPOINTMENT//{statut}"', "without values"),
        ("    social:\n", "    So cial:\n", "lower-case word"),
        ("recorded_at: {column: saisie}", "recorded_at: {}", "either column or assumed"),
        ("features:", "featurs:", "Did you mean 'features'?"),
        ("path: social/rdv.csv", "path: ../rdv.csv", "path leads out of the folder"),
        ("path: social/rdv.csv", "path: /rdv.csv", "path leads out of the folder"),
    ],
)
def test_each_rule_says_what_to_do(tmp_path: Path, old: str, new: str, said: str) -> None:
    message = refusal(tmp_path, GOOD.replace(old, new, 1))
    assert said in message
    assert "Hint: " in message


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace("  timezone: Europe/Paris\n", "  timezone: Europe/Paris\n" * 2)
    with pytest.raises(ConfigurationError, match=r"territory.yaml:3: features.timezone: key given"):
        Territory.open(written(tmp_path, text))


@pytest.mark.parametrize("text", ["features: [", "- a list", "\x00", "features: {a: 1}}"])
def test_what_is_not_yaml_is_refused_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"territory\.yaml"):
        Territory.open(written(tmp_path, text))


def test_an_unknown_territory_names_those_that_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "territories" / "valley").mkdir(parents=True)
    (tmp_path / "territories" / "valley" / "territory.yaml").write_text(GOOD, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"Did you mean 'valley'\?"):
        Territory.open("vally")


def test_data_comes_from_the_option_then_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, GOOD)
    monkeypatch.setenv("JALON_DATA", str(tmp_path / "elsewhere"))
    assert Territory.open(file).data == tmp_path / "elsewhere"
    assert Territory.open(file, data=tmp_path / "here").data == tmp_path / "here"
    (tmp_path / "elsewhere" / "town").mkdir(parents=True)
    assert Territory.open(file).data == tmp_path / "elsewhere" / "town"
    monkeypatch.setenv("JALON_HOME", str(tmp_path / "homes"))
    assert Territory.open(file).home == tmp_path / "homes" / "town"
