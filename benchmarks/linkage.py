"""Linkage against the truth: registers without a key, or the demo territory's own exports.

python -m benchmarks.linkage --people 100000
python -m benchmarks.linkage --exports .jalon/demo/simulation
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.identity import Vault
from features.identity.people import unite
from features.identity.records import column
from features.persons import unite_persons
from features.settings import FeaturesSettings, IdentitySettings, LinkageSettings
from features.territory import Territory
from simulator.registers import registers

Longs = np.ndarray


def compared(subjects: list[Longs], persons: list[Longs]) -> dict[str, Any]:
    """Precision, recall and F1 of pairs of rows."""
    subject, person = np.concatenate(subjects), np.concatenate(persons)

    def pairs(keys: Longs) -> int:
        counts = np.unique(keys, axis=0, return_counts=True)[1]
        return int((counts * (counts - 1) // 2).sum())

    true = pairs(person[:, None])
    both = pairs(np.stack([subject, person], axis=1))
    precision, recall = both / max(pairs(subject[:, None]), 1), both / true
    f1 = 2 * precision * recall / max(precision + recall, 1e-12)
    said = {"precision": precision, "recall": recall, "f1": f1}
    return {"true_pairs": true, **{name: round(value, 5) for name, value in said.items()}}


def on_registers(people: int, keys: bool, birth_errors: float) -> None:
    """Link registers of so many people, by keys first where asked."""
    found = registers(people, 7, birth_errors)
    tables = []
    for name, register in found.items():
        held = {name: register.table["id"]}
        if keys:
            held |= {key: register.table[key] for key in ("nir", "social") if key != name}
        for one in ("first_name", "last_name", "birth_date", "phone"):
            held[column(one)] = register.table[one]
        tables.append(pa.table(held))
    with tempfile.TemporaryDirectory() as folder:
        vault = Vault.open(folder)
        for what, linkage in (("keys", None), ("linkage", LinkageSettings())):
            started, worked = time.perf_counter(), time.process_time()
            figures = unite(vault, tables, IdentitySettings(linkage=linkage))
            _say(what, figures, started, worked)
            subjects = [vault.resolve(name, one.table["id"]) for name, one in found.items()]
            print(json.dumps(compared(subjects, [one.person for one in found.values()])))
        vault.close()


def on_exports(folder: Path) -> None:
    """Link the demo territory's persons as it maps them, by keys and then by likeness."""
    territory = Territory.open("demo", home=folder.parent, data=folder / "exports")
    settings = territory.section("features", FeaturesSettings)
    truth = pq.read_table(folder / "truth" / "persons.parquet")
    with tempfile.TemporaryDirectory() as room:
        vault = Vault.open(Path(room) / "identity")
        for what, linkage in (("keys", None), ("linkage", LinkageSettings())):
            mine = settings.model_copy(update={"identity": IdentitySettings(linkage=linkage)})
            started, worked = time.perf_counter(), time.process_time()
            figures, _, failures = unite_persons(folder / "exports", Path(room), mine, vault)
            _say(what, figures, started, worked)
            print(json.dumps(truly(vault, truth)), *failures)
        vault.close()


def truly(vault: Vault, truth: pa.Table) -> dict[str, Any]:
    """The vault beside the truth: one row for each service that knows a person."""
    subjects, persons = [], []
    for service in ("social", "employment", "health", "housing", "training"):
        ids = truth[f"{service}_id"].cast(pa.string())
        there = ids.is_valid().to_numpy()
        subjects.append(vault.resolve(service, ids)[there])
        persons.append(truth["person"].to_numpy()[there].astype(np.int64))
    return compared(subjects, persons)


def _say(what: str, figures: dict[str, int], started: float, worked: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{what}: {time.perf_counter() - started:.1f} s, "
        f"{time.process_time() - worked:.1f} s of processor, peak {peak:.2f} GB"
    )
    print(json.dumps(figures))


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--keys", action="store_true", help="with NIR and file numbers")
    parser.add_argument("--birth-errors", type=float, default=0.02)
    parser.add_argument("--exports", type=Path, help="folder of a simulated set")
    given = parser.parse_args()
    if given.exports is not None:
        on_exports(given.exports)
    else:
        on_registers(given.people, given.keys, given.birth_errors)


if __name__ == "__main__":
    main()
