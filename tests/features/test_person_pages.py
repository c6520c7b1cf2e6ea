"""What a person is handed: everything held, in both languages, in files that open anywhere."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import datetime
from importlib.resources import files
from pathlib import Path

import pytest

from features.errors import ConfigurationError, DataError
from features.identity import Vault
from features.person_pages import files_of, lines_of_person, person_words, write_held
from features.rights import Held, held_of, object_to, readmit
from features.settings import FeaturesSettings
from features.timelines import Timelines
from tests.features.towns import dossier, number, opened, settings_of


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JALON_KEY", raising=False)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    opened(folder)
    return folder


def held(folder: Path, n: int = 3, **said: object) -> Held:
    from features.territory import Territory

    territory = Territory.open(folder / "town.yaml", home=folder / "home")
    vault = Vault.open(folder / "home" / "identity")
    person = int(vault.resolve("social", [dossier(n)])[0])
    try:
        return held_of(
            territory.home, settings_of(territory), vault,
            Timelines.open(territory.home / "timelines"), person, datetime(2024, 6, 1), **said,  # type: ignore[arg-type]
        )  # fmt: skip
    finally:
        vault.close()


def test_everything_is_there_with_every_version_and_the_rows_set_aside(played: Path) -> None:
    found = held(played)
    assert [one["system"] for one in found.identifiers] == ["emploi", "social"]
    assert found.identity == [
        {"first_name": "David", "last_name": "Martin3", "email": "david3@exemple.fr"}
    ]
    assert len(found.events) == 8
    [former] = [one for one in found.events if one["replaced_at"]]
    assert former["label"]["fr"] == "Rendez-vous : honoré"
    assert former["replaced_at"].startswith("2024-01-01")
    mapped, line = found.set_aside
    assert mapped["raw"]["dossier"] == dossier(3)
    assert (mapped["reason"], line["reason"]) == ("unknown_code", "wrong_number_of_columns")
    assert dossier(3) in line["raw"]["line"]
    assert not any(dossier(4) in json.dumps(one) for one in found.set_aside)


def test_the_pages_say_it_in_both_languages(played: Path) -> None:
    found = held(played, others={"scores": [{"risk": 0.3, "reasons": {"fr": "oui", "en": "yes"}}]})
    made = files_of(found)
    french, english = made["index.html"].decode(), made["index.en.html"].decode()
    assert "Remplacé le 1er janvier 2024" in french
    assert "Replaced on 1 January 2024" in english
    assert ("oui" in french, "yes" in french, "yes" in english) == (True, False, True)
    # One table of identity, one of events, one score, two rows set aside; each is named.
    assert french.count("<table>") == french.count("<caption>") == 5
    assert json.loads(made["data.json"])["events"] == found.events
    rows = list(csv.DictReader(io.StringIO(made["events.csv"].decode("utf-8-sig"))))
    assert [row["event_id"] for row in rows] == [one["event_id"] for one in found.events]
    assert "Lignes mises de côté : 2" in lines_of_person(found, "fr")
    assert not any("David" in line or dossier(3) in line for line in lines_of_person(found, "fr"))


def test_what_a_service_wrote_is_neither_markup_nor_a_formula(played: Path) -> None:
    found = held(played)
    found.identity[0]["last_name"] = "<script>alert(1)</script>"
    found.events[0]["text"] = "=HYPERLINK(1)"
    made = files_of(found)
    assert b"<script" not in made["index.html"]
    assert b"'=HYPERLINK(1)" in made["events.csv"]


def test_it_is_written_beside_the_work_folder_and_over_nothing(
    played: Path, tmp_path: Path
) -> None:
    found = held(played)
    with pytest.raises(DataError, match="a place outside the work folder"):
        write_held(found, played / "home" / "reports" / "hers", played / "home")
    written = write_held(found, tmp_path / "hers", played / "home")
    assert {file.name for file in written} == {
        "index.html", "index.en.html", "data.json", "events.csv", "features.csv",
    }  # fmt: skip
    assert all(file.stat().st_mode & 0o077 == 0 for file in [*written, tmp_path / "hers"])
    with pytest.raises(DataError, match="a place that is free"):
        write_held(found, tmp_path / "hers", played / "home")


def test_every_text_is_in_both_languages_and_used() -> None:
    fr, en = person_words("fr").texts, person_words("en").texts
    assert fr.keys() == en.keys()
    places = {key: set(re.findall(r"{(\w+)}", text)) for key, text in fr.items()}
    assert places == {key: set(re.findall(r"{(\w+)}", text)) for key, text in en.items()}
    with pytest.raises(ConfigurationError, match="fr or en"):
        person_words("de")
    package = files("features")
    said = (package / "templates" / "person.html").read_text("utf-8")
    said += (package / "person_pages.py").read_text("utf-8")
    own = (package / "locale" / "person.fr.po").read_text("utf-8")
    keys = re.findall(r'^msgid "([a-z._]+)"', own, re.MULTILINE)
    families = ("attribute.", "table.", "column.")
    assert [key for key in keys if not key.startswith(families) and key not in said] == []


def test_one_who_was_erased_may_be_met_again_by_each_number(tmp_path: Path) -> None:
    territory = opened(tmp_path)
    vault = Vault.open(territory.home / "identity")
    person = int(vault.resolve("social", [dossier(3)])[0])
    object_to(vault, person)
    vault.forget(person)
    with pytest.raises(DataError, match="a pseudonym that it knows"):
        object_to(vault, person)
    assert vault.adopt("social", [dossier(3)])[0].tolist() == [-1]
    readmit(
        territory.home, territory.section("features", FeaturesSettings), vault, "social", dossier(3)
    )
    assert vault.adopt("emploi", [number(3)])[0].tolist() == [-1]
    assert int(vault.adopt("social", [dossier(3)])[0][0]) > 0
    assert vault.objected().tolist() == []
    with pytest.raises(DataError, match="one of a person who was erased"):
        readmit(
            territory.home,
            territory.section("features", FeaturesSettings),
            vault,
            "social",
            dossier(3),
        )
    vault.close()
