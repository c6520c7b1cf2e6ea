"""The services' registers of persons alone, without a history: for judging linkage quickly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa

from simulator.clock import START
from simulator.identities import (
    KEY_SHARES,
    NIR_SHARES,
    PHONE_SHARES,
    dialled,
    draw_identities,
    kept,
    misspell,
)
from simulator.people import draw

__all__ = ["Register", "registers"]

KNOWN_SHARES = {"social": 1.0, "employment": 0.85, "health": 0.4, "housing": 0.35, "training": 0.3}


@dataclass(frozen=True)
class Register:
    """One service's persons.

    Attributes:
        table: `id`, `nir` and `social` (null where the service has none), `first_name`,
            `last_name`, `birth_date` (ISO) and `phone`, text.
        person: Who each row truly is, int64.
    """

    table: pa.Table
    person: np.ndarray


def registers(people: int, seed: int, birth_errors: float = 0.02) -> dict[str, Register]:
    """Registers as the exports of the demo territory have them, and worse.

    Args:
        people: How many persons there are.
        seed: Same seed, same registers.
        birth_errors: Share of birth dates with a wrong digit, or day and month exchanged; the
            demo territory has none.

    Returns:
        By service.

    Example:
        >>> found = registers(60, 1)
        >>> found["social"].table.num_rows, sorted(found)
        (60, ['employment', 'health', 'housing', 'social', 'training'])
    """
    world = draw_identities(seed, draw(seed, people, 366))
    born = np.array(
        [(START + timedelta(days=int(day))).strftime("%Y-%m-%d") for day in world.birth]
    )
    ids = {
        name: np.array(own.cast(pa.string()).to_pylist(), object) for name, own in world.ids.items()
    }
    out = {}
    for number, (name, share) in enumerate(KNOWN_SHARES.items()):
        rng = np.random.default_rng([seed, 51, number])
        here = np.flatnonzero(rng.random(people) < share)
        n = here.size
        has = rng.random(n) < NIR_SHARES.get(name, 0.0)
        named = rng.random(n) < KEY_SHARES["health"] if name == "health" else ~has
        social = named if name in ("health", "housing") else np.zeros(n, bool)
        phones = world.phones[here]
        columns = {
            "id": pa.array(ids[name][here], pa.string()),
            "nir": kept(world.nir[here], has),
            "social": kept(ids["social"][here], social),
            "first_name": pa.array(misspell(world.first_names[here], rng)),
            "last_name": pa.array(misspell(world.families[here], rng)),
            "birth_date": pa.array(_mistaken(born[here], rng, birth_errors)),
            "phone": dialled(name, phones, seed) if name in PHONE_SHARES else pa.array(phones),
        }
        out[name] = Register(pa.table(columns), here)
    return out


def _mistaken(days: np.ndarray, rng: np.random.Generator, share: float) -> list[str]:
    out = [str(day) for day in days]
    for i in np.flatnonzero(rng.random(len(out)) < share):
        day = out[i]
        if rng.random() < 0.3 and int(day[8:]) <= 12:
            out[i] = f"{day[:5]}{day[8:]}-{day[5:7]}"
        else:
            at = (3, 6, 9)[int(rng.integers(0, 3))]
            out[i] = f"{day[:at]}{rng.integers(0, 10)}{day[at + 1 :]}"
    return out
