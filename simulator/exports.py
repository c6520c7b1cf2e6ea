"""All the exports: five services, each in its own way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from simulator import exports_employment, exports_others, exports_social, layout
from simulator.history import History
from simulator.identities import Identities
from simulator.people import People
from simulator.sheets import Sheet, Spoiled, spoil
from simulator.writing import write_csv, write_json_lines, write_parquet, write_sqlite, write_xlsx

Progress = Callable[[str, float], None]


def known_to(history: History) -> dict[str, np.ndarray]:
    """Which service knows whom: those it has written a row about."""
    n = history.last.shape[0]
    kinds = history.events[:, layout.T_KIND]
    person = history.events[:, layout.T_PERSON]
    service = np.full(kinds.size, layout.SOCIAL)
    booked = kinds == layout.K_APPOINTMENT
    service[booked] = history.events[booked, layout.T_B]
    contract = np.isin(kinds, (layout.K_CONTRACT, layout.K_CONTRACT_END))
    service[contract & (history.events[:, layout.T_A] != layout.CER)] = layout.EMPLOYMENT
    sent = kinds == layout.K_REFERRAL
    service[sent] = history.events[sent, layout.T_A]
    for kind in (
        layout.K_REGISTRATION,
        layout.K_WORK,
        layout.K_WORK_END,
        layout.K_APPLICATION,
        layout.K_APPLICATION_ANSWER,
    ):
        service[kinds == kind] = layout.EMPLOYMENT
    service[kinds == layout.K_HEALTH] = layout.HEALTH
    service[np.isin(kinds, (layout.K_SITUATION, layout.K_HOUSING))] = layout.HOUSING
    service[kinds == layout.K_LEARNING] = layout.TRAINING
    neither = np.isin(kinds, (layout.K_ONSET, layout.K_REFERRAL_ANSWER))
    out = {}
    for number, name in enumerate(layout.SERVICES):
        known = np.zeros(n, bool)
        known[person[(service == number) & ~neither]] = True
        out[name] = known
    return out


def write_exports(
    folder: Path,
    people: People,
    history: History,
    identities: Identities,
    seed: int,
    tell: Progress,
) -> tuple[dict[str, int], dict[str, int]]:
    """Write the exports of the five services.

    Args:
        folder: where; made here.
        people: everybody at entry.
        history: the whole history.
        identities: names and numbers.
        seed: seed of the set.
        tell: told the share done.

    Returns:
        Rows written by file, and how many were corrected, doubled, given an unknown code, broken.
    """
    known = known_to(history)
    until = history.until
    files: dict[str, int] = {}
    totals = dict.fromkeys(("corrections", "duplicates", "unknown_codes", "broken"), 0)

    def chance(number: int) -> np.random.Generator:
        return np.random.default_rng([seed, 41, number])

    def finish(sheet: Sheet, rng: np.random.Generator) -> Spoiled:
        done = spoil(sheet, rng, until)
        for name in totals:
            totals[name] += getattr(done, name)
        return done

    def persons(table: pa.Table, rng: np.random.Generator) -> pa.Table:
        """Person files: in no order, a few rows twice."""
        order = rng.permutation(table.num_rows)
        twice = order[rng.random(order.size) < 0.002]
        return table.take(pa.array(np.concatenate([order, twice])))

    def plain(table: pa.Table) -> pa.Array:
        return pa.array([""] * table.num_rows)

    for name in layout.SERVICES:
        (folder / name).mkdir(parents=True)

    rng = chance(0)
    style: dict[str, str] = {"encoding": "cp1252", "end": "\r\n", "null": ""}
    table = persons(exports_social.persons(people, identities, known, rng), rng)
    write_csv(folder / "social" / "personnes.csv", table, plain(table), **style)
    files["exports/social/personnes.csv"] = table.num_rows
    for sheet in exports_social.sheets(history, identities, rng):
        done = finish(sheet, rng)
        write_csv(folder / "social" / sheet.name, done.table, done.tail, **style)
        files[f"exports/social/{sheet.name}"] = done.table.num_rows
    tell("exports", 0.45)

    rng = chance(1)
    style = {"encoding": "utf-8", "end": "\n", "null": "NULL"}
    table = persons(exports_employment.persons(people, identities, known, history, rng, seed), rng)
    write_csv(folder / "employment" / "principal.csv", table, plain(table), **style)
    files["exports/employment/principal.csv"] = table.num_rows
    for sheet in exports_employment.sheets(history, identities, rng):
        done = finish(sheet, rng)
        write_csv(folder / "employment" / sheet.name, done.table, done.tail, **style)
        files[f"exports/employment/{sheet.name}"] = done.table.num_rows
    tell("exports", 0.75)

    rng = chance(2)
    table = persons(exports_others.health_persons(identities, known, until, rng, seed), rng)
    write_json_lines(folder / "health" / "patients.jsonl", table)
    files["exports/health/patients.jsonl"] = table.num_rows
    for sheet in exports_others.health_sheets(history, identities, rng):
        done = finish(sheet, rng)
        write_json_lines(folder / "health" / sheet.name, done.table)
        files[f"exports/health/{sheet.name}"] = done.table.num_rows

    rng = chance(3)
    table = persons(exports_others.housing_persons(identities, known, until, rng, seed), rng)
    tables = {"personne": (exports_others.HOUSING_TABLES["personne"], table)}
    for sheet in exports_others.housing_sheets(history, identities, rng):
        done = finish(sheet, rng)
        tables[sheet.name] = (exports_others.HOUSING_TABLES[sheet.name], done.table)
    write_sqlite(folder / "housing" / "housing.sqlite", tables)
    for name, (_, rows) in tables.items():
        files[f"exports/housing/housing.sqlite#{name}"] = rows.num_rows

    rng = chance(4)
    table = persons(exports_others.training_persons(identities, known, until, rng, seed), rng)
    write_xlsx(folder / "training" / "stagiaires.xlsx", "stagiaires", table)
    files["exports/training/stagiaires.xlsx"] = table.num_rows
    for sheet in exports_others.training_sheets(history, identities, rng):
        done = finish(sheet, rng)
        write_parquet(folder / "training" / sheet.name, done.table)
        files[f"exports/training/{sheet.name}"] = done.table.num_rows
    tell("exports", 1.0)
    return files, totals
