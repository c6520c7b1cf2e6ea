"""The mapping: raw rows to events, one reason for every row that does not fit."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.errors import ConfigurationError, DataError
from features.identity import Vault
from features.mapping import Mapped, TableMapping, check_mapping
from features.quality import REASONS
from features.settings import FeaturesSettings
from features.sources import Batch
from features.vocabulary import Vocabulary

RDV: dict[str, Any] = {
    "path": "rdv.csv",
    "row_key": "id",
    "events": [
        {
            "code": "CONTACT//APPOINTMENT//SCHEDULED",
            "time": "due",
            "recorded_at": "made",
            "reference": "id",
        },
        {
            "code": "CONTACT//APPOINTMENT//{status}",
            "values": {"status": {"H": "SEEN", "A": "NOSHOW"}},
            "where": {"said": "present"},
            "time": "due",
            "recorded_at": "said",
            "end_time": "until",
            "numeric_value": "minutes",
            "text_value": {"column": "service", "values": {"FT": "employment"}},
            "reference": "id",
        },
    ],
}
ROW: dict[str, Any] = {
    "id": "r1",
    "person": "D1",
    "due": "15/03/2025 10:00",
    "made": "01/03/2025 09:00",
    "said": "16/03/2025",
    "status": "H",
    "until": None,
    "minutes": "12,5",
    "service": "FT",
}


def settings_of(table: dict[str, Any], **source: Any) -> FeaturesSettings:
    return FeaturesSettings.model_validate(
        {
            "observation": {"since": date(2020, 1, 1), "until": date(2026, 1, 1)},
            "sources": {
                "social": {
                    "service": "social",
                    "reader": "csv",
                    "options": {"decimal": ",", "nulls": ["", "NULL"]},
                    "formats": ["%d/%m/%Y %H:%M", "%d/%m/%Y"],
                    "person": {"system": "social", "columns": "person"},
                    "tables": [table],
                    **source,
                }
            },
        }
    )


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.open(tmp_path)


def mapped(vault: Vault, *rows: dict[str, Any], table: dict[str, Any] | None = None) -> Mapped:
    settings = settings_of(table or RDV)
    source = settings.sources["social"]
    mapping = TableMapping("social", source, source.tables[0], settings, vault)
    raw = pa.table({name: [(ROW | row).get(name) for row in rows] for name in mapping.columns})
    return mapping.apply(Batch(raw, np.arange(1, len(rows) + 1)))


def test_one_row_may_hold_two_events(vault: Vault) -> None:
    done = mapped(vault, {})
    first, second = done.events.to_pylist()
    assert first["code"] == "CONTACT//APPOINTMENT//SCHEDULED"
    assert first["time"] == datetime(2025, 3, 15, 9)
    assert first["recorded_at"] == datetime(2025, 3, 1, 8)
    assert first["source_code"] is None
    assert second["code"] == "CONTACT//APPOINTMENT//SEEN"
    assert second["source_code"] == "H"
    assert second["recorded_at"] == datetime(2025, 3, 15, 23)
    assert second["numeric_value"] == 12.5
    assert second["text_value"] == "employment"
    assert first["reference"] == second["reference"] == "r1"
    assert first["subject_id"] == second["subject_id"] == vault.resolve("social", ["D1"])[0]
    assert first["event_id"] != second["event_id"]
    assert done.places.tolist() == [0, 0]
    assert (done.aside, done.without_event, done.created) == ({}, 0, 1)


def test_an_event_waits_until_it_is_said(vault: Vault) -> None:
    done = mapped(vault, {"said": None, "status": "PREV"}, {"said": "NULL"})
    assert done.events["code"].to_pylist() == ["CONTACT//APPOINTMENT//SCHEDULED"] * 2
    assert done.aside == {}


@pytest.mark.parametrize(
    ("change", "reason", "column"),
    [
        ({"person": None}, "missing_person", "person"),
        ({"person": "  "}, "missing_person", "person"),
        ({"id": None}, "missing_row_key", "id"),
        ({"due": None}, "missing_time", "due"),
        ({"made": "NULL"}, "missing_recorded_at", "made"),
        ({"due": "31/02/2025"}, "bad_date", "due"),
        ({"said": "2025-03-16"}, "bad_date", "said"),
        ({"until": "soon"}, "bad_date", "until"),
        ({"due": "15/03/2999"}, "date_out_of_range", "due"),
        ({"due": "15/03/1900"}, "date_out_of_range", "due"),
        ({"made": "15/03/1900"}, "date_out_of_range", "made"),
        ({"until": "01/01/2999"}, "date_out_of_range", "until"),
        ({"made": "01/01/2026"}, "recorded_after_observation", "made"),
        ({"status": "ZZ"}, "unknown_code", "status"),
        ({"status": None}, "unknown_code", "status"),
        ({"service": "MAIRIE"}, "unknown_value", "service"),
        ({"minutes": "12,3,4"}, "bad_number", "minutes"),
        ({"minutes": "abc"}, "bad_number", "minutes"),
        ({"minutes": "1.500"}, "bad_number", "minutes"),
        ({"minutes": "inf"}, "bad_number", "minutes"),
        ({"minutes": "1e300"}, "bad_number", "minutes"),
        ({"id": "0612345678"}, "identity_in_field", "id"),
        ({"id": "253072B07300470"}, "identity_in_field", "id"),
        ({"minutes": "184127645108946"}, "identity_in_field", "minutes"),
        ({"minutes": "1 84 12 76 451 089"}, "identity_in_field", "minutes"),
        ({"minutes": "0612345678"}, "identity_in_field", "minutes"),
    ],
)
def test_a_row_that_breaks_a_rule_is_set_aside_whole(
    vault: Vault, change: dict[str, Any], reason: str, column: str
) -> None:
    done = mapped(vault, {}, change, {"id": "r3"})
    assert done.aside == {1: (reason, column)}
    assert reason in REASONS
    assert sorted(done.places.tolist()) == [0, 0, 2, 2]


def test_an_appointment_may_be_due_after_the_observation(vault: Vault) -> None:
    done = mapped(vault, {"due": "15/03/2027 10:00", "said": None})
    assert done.events.num_rows == 1


def test_unknown_codes_are_counted_and_identities_withheld(vault: Vault) -> None:
    done = mapped(vault, {"status": "ZZ"}, {"status": "ZZ"}, {"status": "06 12 34 56 78"})
    assert done.unknown == {("status", "ZZ"): 2, ("status", "(withheld)"): 1}


def test_numbers_with_spaces_between_thousands(vault: Vault) -> None:
    done = mapped(vault, {"minutes": "1 234,5"}, {"minutes": "1\u202f234"}, {"minutes": None})
    values = done.events.filter(pa.compute.is_valid(done.events["source_code"]))["numeric_value"]
    assert values.to_pylist() == [1234.5, 1234.0, None]


def test_ids_are_stable_and_tell_source_table_row_and_rule_apart(vault: Vault) -> None:
    ids = mapped(vault, {}, {"id": "r2"}).events["event_id"].to_pylist()
    assert len(set(ids)) == 4
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in ids)
    assert mapped(vault, {"id": "r2"}, {}).events["event_id"].to_pylist() == [
        ids[1],
        ids[0],
        ids[3],
        ids[2],
    ]
    other = mapped(vault, {}, table=RDV | {"name": "other"}).events["event_id"].to_pylist()
    assert not set(other) & set(ids)
    moved = mapped(vault, {}, table=RDV | {"events": RDV["events"][::-1]})
    assert set(moved.events["event_id"].to_pylist()) <= set(ids)


def test_a_row_key_with_a_person_in_it_is_hashed_with_the_secret(tmp_path: Path) -> None:
    table = RDV | {"row_key": ["person", "id"]}
    vaults = [Vault.open(tmp_path / name) for name in ("one", "two")]
    keyed = [mapped(v, {}, table=table).events["event_id"].to_pylist() for v in vaults]
    plain = [mapped(v, {}).events["event_id"].to_pylist() for v in vaults]
    assert plain[0] == plain[1]
    assert not set(keyed[0]) & set(keyed[1])


def test_a_declared_identifier_is_a_key_hashed_with_the_secret_and_never_kept(
    tmp_path: Path,
) -> None:
    vaults = [Vault.open(tmp_path / name) for name in ("one", "two")]
    row = {"file": "285020212345625"}
    bare = RDV | {"row_key": ["file", "id"]}
    assert mapped(vaults[0], row, table=bare).aside == {0: ("identity_in_field", "file")}
    table = bare | {"identifying": "file"}
    done = [mapped(vault, row, table=table) for vault in vaults]
    assert [one.aside for one in done] == [{}, {}]
    ids = [set(one.events["event_id"].to_pylist()) for one in done]
    assert [len(one) for one in ids] == [2, 2]
    assert not ids[0] & ids[1]
    other = mapped(vaults[0], {"file": "185020212345631"}, table=table)
    assert not ids[0] & set(other.events["event_id"].to_pylist())
    assert row["file"] not in str(done[0].events.to_pylist())


@pytest.mark.parametrize(
    "kept",
    [
        {"reference": "file"},
        {"text_value": "file"},
        {"numeric_value": "file"},
        {"code": "NEED//{file}//RAISED", "values": {"file": {"1": "HEALTH"}}},
    ],
)
def test_a_declared_identifier_must_not_be_kept(kept: dict[str, Any]) -> None:
    rule = {"code": "SOCIAL//DIAGNOSIS//DONE", "recorded_at": "made", **kept}
    settings = settings_of(RDV | {"identifying": ["file"], "events": [rule]})
    with pytest.raises(ConfigurationError, match="column 'file' identifies persons"):
        check_mapping(settings, Vocabulary.load())


def test_a_declared_identifier_is_no_watermark() -> None:
    table = {k: v for k, v in RDV.items() if k != "path"}
    table |= {"table": "rdv", "watermark": "file", "identifying": ["file"]}
    with pytest.raises(ValueError, match="watermark names a column that identifies persons"):
        settings_of(table, reader="sql", url="sqlite:///rdv.db")


def test_a_row_corrected_under_one_rule_stays_one_event(vault: Vault) -> None:
    """As docs/territory.md says: the code is no part of what makes two rows one event."""
    both = mapped(vault, {}, {"status": "A", "said": "18/03/2025"}).events
    outcomes = both.slice(2).to_pylist()
    assert [one["code"].split("//")[-1] for one in outcomes] == ["SEEN", "NOSHOW"]
    assert len({one["event_id"] for one in outcomes}) == 1


def test_a_row_without_an_event_makes_no_person(vault: Vault) -> None:
    table = RDV | {"events": RDV["events"][1:]}
    done = mapped(vault, {"said": None}, table=table)
    assert (done.events.num_rows, done.without_event, done.created) == (0, 1, 0)
    assert vault.count() == 0


def test_persons_met_again_are_the_same_whatever_was_asked_of_the_vault(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(RDV)
    source = settings.sources["social"]
    found = []
    for most in (1_000_000, 0):
        monkeypatch.setattr("features.mapping.SEEN", most)
        mapping = TableMapping("social", source, source.tables[0], settings, vault)
        for who in (["D1", "D2", "D1", None], ["D3", "D2", "D1", "D3"]):
            rows = [ROW | {"person": one, "row": f"r{n}"} for n, one in enumerate(who)]
            raw = pa.table({name: [row.get(name) for row in rows] for name in mapping.columns})
            done = mapping.apply(Batch(raw, np.arange(1, 5)))
            asked = vault.resolve("social", [who[place] or "" for place in done.places])
            assert done.events["subject_id"].to_pylist() == asked.tolist()
            assert done.issued.tolist() == asked.tolist()
            found.append(done.created)
    assert found == [2, 1, 0, 0]


def test_a_row_of_a_person_who_was_erased_or_merged(vault: Vault) -> None:
    mapped(vault, {"person": "D1"}, {"person": "D2"}, {"person": "D3"})
    first, second, third = vault.resolve("social", ["D1", "D2", "D3"]).tolist()
    vault.merge(first, second, "error")
    vault.forget(third)
    done = mapped(vault, {"person": "D1"}, {"person": "D2"}, {"person": "D3"})
    assert done.aside == {2: ("erased", None)}
    assert set(done.events["subject_id"].to_pylist()) == {first}
    assert set(done.issued.tolist()) == {first, second}


def test_where_accepts_listed_values_and_absence(vault: Vault) -> None:
    rule = {"code": "SOCIAL//DIAGNOSIS//DONE", "recorded_at": "made"}
    table = RDV | {"events": [rule | {"where": {"status": ["H", "X"], "until": "absent"}}]}
    done = mapped(vault, {}, {"status": "A"}, {"until": "01/01/2026"}, table=table)
    assert done.places.tolist() == [0]
    assert done.events["time"].to_pylist() == [None]


def test_codes_of_several_columns_keep_both_source_codes(vault: Vault) -> None:
    rule = {
        "code": "NEED//{status}//{service}",
        "values": {"status": {"H": "HEALTH"}, "service": {"FT": "RAISED"}},
        "recorded_at": {"column": "said", "at": "end_of_day"},
        "text_value": "until",
    }
    done = mapped(vault, {"until": "06"}, table=RDV | {"events": [rule]})
    (event,) = done.events.to_pylist()
    assert (event["code"], event["source_code"]) == ("NEED//HEALTH//RAISED", "H|FT")
    assert event["text_value"] == "06"
    assert event["recorded_at"] == datetime(2025, 3, 16, 22, 59, 59, 999_999)


def test_a_remark_is_no_controlled_value(vault: Vault) -> None:
    rule = {"code": "SOCIAL//DIAGNOSIS//DONE", "recorded_at": "made", "text_value": "until"}
    table = RDV | {"events": [rule]}
    done = mapped(vault, {"until": "a b" * 40}, {"until": "voir 06 12 34 56 78"}, table=table)
    assert done.aside == {0: ("free_text", "until"), 1: ("identity_in_field", "until")}


def test_whole_numbers_written_as_decimals_are_keys_all_the_same(vault: Vault) -> None:
    settings = settings_of(RDV)
    source = settings.sources["social"]
    mapping = TableMapping("social", source, source.tables[0], settings, vault)
    raw = {name: [ROW[name]] * 2 for name in mapping.columns}
    as_text = pa.table(raw | {"person": ["17", "18"]})
    as_number = pa.table(raw | {"person": [17.0, None], "minutes": pa.array([1, 2], pa.int8())})
    first = mapping.apply(Batch(as_text, np.array([1, 2])))
    second = mapping.apply(Batch(as_number, np.array([1, 2])))
    assert second.events["subject_id"][0] == first.events["subject_id"][0]
    assert second.aside == {1: ("missing_person", "person")}


def test_a_column_of_lists_is_refused_by_name(vault: Vault) -> None:
    settings = settings_of(RDV)
    source = settings.sources["social"]
    mapping = TableMapping("social", source, source.tables[0], settings, vault)
    raw = pa.table({name: [ROW[name]] for name in mapping.columns} | {"person": [["D1"]]})
    with pytest.raises(DataError, match="reading column 'person'"):
        mapping.apply(Batch(raw, np.array([1])))


def test_faults_of_a_mapping_come_all_at_once() -> None:
    wrong = [
        {"code": "CONTACT//APPOINTMENT//SEN", "recorded_at": "made"},
        {
            "code": "NEED//{status}//RAISED",
            "values": {"status": {"H": "HEALTH", "X": "MONNEY"}},
            "recorded_at": "made",
            "reference": "person",
        },
        {"code": "SOCIAL//DIAGNOSIS//DONE", "recorded_at": "made", "text_value": "nir"},
    ]
    persons = [{"path": "p.csv", "keys": {"social": "person", "nir": "nir"}}]
    settings = settings_of(RDV | {"events": wrong}, persons=persons)
    with pytest.raises(ConfigurationError) as caught:
        check_mapping(settings, Vocabulary.load())
    said = str(caught.value)
    assert "4 fault(s)" in said
    assert "did you mean 'CONTACT//APPOINTMENT//SEEN'?" in said
    assert "did you mean 'NEED//MONEY//RAISED'?" in said
    assert "column 'person' identifies persons" in said
    assert "column 'nir' identifies persons" in said


def test_a_value_excluded_by_where_needs_no_code() -> None:
    rule = {
        "code": "NEED//{status}//RAISED",
        "values": {"status": {"H": "HEALTH", "X": "NOTHING"}},
        "where": {"status": ["H"]},
        "recorded_at": "made",
    }
    check_mapping(settings_of(RDV | {"events": [rule]}), Vocabulary.load())
