"""Who the people are for each service: names, NIR, own numbers, and how they are shared."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa

from simulator import layout
from simulator.clock import START
from simulator.names import FAMILIES, MEN, WOMEN
from simulator.people import People

TYPO_SHARE = 0.03
NIR_SHARES = {"social": 0.92, "employment": 0.95, "housing": 0.85}
PHONE_SHARES = {"employment": 0.85, "health": 0.8, "housing": 0.75, "training": 0.9}
WRONG_DIGIT_SHARE = 0.02
KEY_SHARES = {"health": 0.90, "training": 0.93, "social_to_employment": 0.70}


@dataclass(frozen=True)
class Identities:
    """The people as the services know them; every array has one row a person.

    Attributes:
        birth: local day numbers of birth (before 2023-01-01, negative), int64.
        first_names: given names.
        families: family names.
        nir: 15 digits each, with a valid key; synthetic.
        phones: numbers in the range kept for fiction.
        ids: each service's own id, by service name.
    """

    birth: np.ndarray
    first_names: np.ndarray
    families: np.ndarray
    nir: np.ndarray
    phones: np.ndarray
    ids: dict[str, pa.Array]


def nir_key(thirteen: int) -> int:
    """Check key of the 13 first digits of a NIR.

    >>> nir_key(2_95_01_16_023_045)
    11
    """
    return 97 - thirteen % 97


def draw_identities(seed: int, people: People) -> Identities:
    """Names and numbers of everybody.

    Args:
        seed: seed of the set.
        people: everybody at entry.

    Returns:
        Names, NIR and own ids; nothing in them depends on what happens to the person.
    """
    rng = np.random.default_rng([seed, 21])
    n = people.rsa_days.size
    birth = -people.traits[:, layout.F_AGE].astype(np.int64)
    women = rng.integers(0, len(WOMEN), n)
    men = rng.integers(0, len(MEN), n)
    first = np.where(people.woman, np.array(WOMEN)[women], np.array(MEN)[men])
    families = np.array(FAMILIES)[rng.integers(0, len(FAMILIES), n)]
    born = [START + timedelta(days=int(d)) for d in birth]
    year = np.array([b.year % 100 for b in born])
    month = np.array([b.month for b in born])
    department = rng.choice([d for d in range(1, 96) if d != 20], n)
    head = (
        np.where(people.woman, 2, 1) * 10**12
        + year * 10**10
        + month * 10**8
        + department * 10**6
        + rng.integers(1, 900, n) * 1000
    )
    order = rng.integers(1, 999, n)
    for _ in range(50):
        _, where, counts = np.unique(head + order, return_inverse=True, return_counts=True)
        shared = counts[where] > 1
        if not shared.any():
            break
        order[shared] = rng.integers(1, 999, int(shared.sum()))
    nir = np.array([f"{h:013d}{nir_key(int(h)):02d}" for h in head + order])
    phones = np.array([f"063998{x:04d}" for x in rng.integers(0, 10000, n)])
    letters = "ABCDEFGHJKLMNPRSTVWXYZ"
    unique = rng.choice(9 * 10**9, n, replace=False) + 10**9 if n < 1000 else _distinct(rng, n)
    ids = {
        "social": pa.array([f"D{x:07d}" for x in _numbers(rng, n, 10**6, 9 * 10**6)]),
        "employment": pa.array([f"{u:010d}{letters[int(u) % len(letters)]}" for u in unique]),
        "health": pa.array([f"S-{x:06d}" for x in _numbers(rng, n, 1, 10**6)]),
        "housing": pa.array(_numbers(rng, n, 1000, 10**6)),
        "training": pa.array([f"F{x:06d}" for x in _numbers(rng, n, 1, 10**6)]),
    }
    return Identities(birth, first, families, nir, phones, ids)


def _distinct(rng: np.random.Generator, n: int) -> np.ndarray:
    drawn = np.unique(rng.integers(10**9, 10**10, n + n // 10 + 100))
    return rng.permutation(drawn)[:n]


def _numbers(rng: np.random.Generator, n: int, low: int, high: int) -> np.ndarray:
    """n different numbers in [low, high), in no order."""
    return (
        low + rng.permutation(max(high - low, n))[:n]
        if n * 50 > high - low
        else (low + rng.choice(high - low, n, replace=False))
    )


def misspell(names: np.ndarray, rng: np.random.Generator) -> list[str]:
    """Names as one service typed them: about 3 % with two letters swapped, one lost, or one
    doubled."""
    out = [str(x) for x in names]
    for i in np.flatnonzero(rng.random(len(out)) < TYPO_SHARE):
        name = out[i]
        at = int(rng.integers(0, len(name) - 1))
        kind = int(rng.integers(0, 3))
        if kind == 0:
            out[i] = name[:at] + name[at + 1] + name[at] + name[at + 2 :]
        elif kind == 1:
            out[i] = name[:at] + name[at + 1 :]
        else:
            out[i] = name[: at + 1] + name[at] + name[at + 1 :]
    return out


def dialled(service: str, phones: np.ndarray, seed: int) -> pa.Array:
    """Telephone numbers as one service noted them.

    Some are missing, about 2 % have a wrong digit, and spaces and the country's code come and go.

    Args:
        service: its name.
        phones: ten digits each, of the persons it knows.
        seed: seed of the set; the numbers have a chance of their own, so that they change nothing
            else.

    Returns:
        Text, null where missing.
    """
    rng = np.random.default_rng([seed, 43, list(PHONE_SHARES).index(service)])
    n = len(phones)
    there = rng.random(n) < PHONE_SHARES[service]
    wrong = rng.random(n) < WRONG_DIGIT_SHARE
    place, digit, style = rng.integers(6, 10, n), rng.integers(0, 10, n), rng.integers(0, 3, n)
    out = []
    for i, phone in enumerate(str(x) for x in phones):
        if wrong[i]:
            phone = phone[: place[i]] + str(digit[i]) + phone[place[i] + 1 :]
        if style[i] == 1:
            phone = " ".join(phone[at : at + 2] for at in range(0, 10, 2))
        elif style[i] == 2:
            phone = "+33" + phone[1:]
        out.append(phone)
    return kept(out, there)


def kept(values: np.ndarray | list[str], keep: np.ndarray) -> pa.Array:
    """Values where `keep`, null elsewhere.

    >>> kept(["a", "b"], np.array([True, False])).to_pylist()
    ['a', None]
    """
    return pa.array([v if k else None for v, k in zip(values, keep, strict=True)], pa.string())
