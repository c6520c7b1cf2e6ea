"""From the tape to the rows services keep: appointments with their outcome, spells with their end,
answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator import layout
from simulator.formats import NOTHING
from simulator.sheets import entered, office_hours


@dataclass(frozen=True)
class Appointments:
    """Appointments of one service; int64 arrays of one length.

    Attributes:
        person: simulation person.
        due: UTC minute of the appointment.
        created: UTC minute of its planning.
        status: outcome as known at the end (`layout.PLANNED` when none is entered yet).
        summoned: 1 when summoned.
        entry: UTC minute of the outcome's entry, `NOTHING` without one.
    """

    person: np.ndarray
    due: np.ndarray
    created: np.ndarray
    status: np.ndarray
    summoned: np.ndarray
    entry: np.ndarray


def appointments(
    events: np.ndarray, service: int, rng: np.random.Generator, until: int
) -> Appointments:
    """Appointments of a service with the entry of their outcome.

    Excuses and revocations are entered up to three days before the date, unfilled ones set to
    unknown by a clean-up two to six weeks later, the others after the usual delay.

    Args:
        events: events of kind `K_APPOINTMENT`.
        service: service number.
        rng: chance.
        until: end of observation, UTC minutes.

    Returns:
        The rows in the order of their planning.
    """
    rows = events[events[:, layout.T_B] == service]
    rows = rows[np.argsort(rows[:, layout.T_END], kind="stable")]
    due, created, status = rows[:, layout.T_TIME], rows[:, layout.T_END], rows[:, layout.T_A]
    exit_day = rows[:, layout.T_VALUE] // 2 - 1
    entry = entered(rng, due, layout.SERVICES[service], until)
    before = np.maximum(created + 60, due - rng.integers(120, 3 * 1440, due.size))
    early = office_hours(rng, before, until)
    entry = np.where(np.isin(status, (layout.EXCUSED, layout.REVOKED)), early, entry)
    cleaned = office_hours(rng, due + rng.integers(14 * 1440, 42 * 1440, due.size), until)
    entry = np.where(status == layout.UNKNOWN, cleaned, entry)
    at_exit = office_hours(rng, exit_day * 1440 + 900 + rng.integers(0, 4320, due.size), until)
    at_exit = np.where(at_exit > NOTHING, np.maximum(at_exit, created + 60), NOTHING)
    entry = np.where(exit_day >= 0, at_exit, entry)
    entry = np.where(status == layout.PLANNED, NOTHING, entry)
    status = np.where(entry == NOTHING, layout.PLANNED, status)
    return Appointments(
        rows[:, layout.T_PERSON], due, created, status, rows[:, layout.T_VALUE] % 2, entry
    )


@dataclass(frozen=True)
class Pairs:
    """Things with a beginning and perhaps an end (spells, requests and answers); int64 arrays of
    one length.

    Attributes:
        first: events of the beginning, int64[rows, N_TAPE].
        entry: UTC minute of the beginning's entry.
        code: second code of the end (its column A or B), -1 when none is known.
        time: UTC minute of the end, `NOTHING` when none is known.
        end_entry: UTC minute of the end's entry, `NOTHING` when none is known.
    """

    first: np.ndarray
    entry: np.ndarray
    code: np.ndarray
    time: np.ndarray
    end_entry: np.ndarray


def pairs(
    first: np.ndarray,
    second: np.ndarray,
    column: int,
    service: str,
    rng: np.random.Generator,
    until: int,
) -> Pairs:
    """Join beginnings and ends by person and reference, with the entry of each.

    Args:
        first: events of the beginnings.
        second: events of the ends, at most one for each beginning.
        column: where the end's code stands (`T_A` or `T_B`).
        service: service name, for the delays of entry.
        rng: chance.
        until: end of observation, UTC minutes.

    Returns:
        Beginnings that were entered before the end of observation, in the order of their entry,
        with what was known of their end by then.
    """
    keys = first[:, layout.T_PERSON] * 100_000 + first[:, layout.T_REF]
    others = second[:, layout.T_PERSON] * 100_000 + second[:, layout.T_REF]
    order = np.argsort(others, kind="stable")
    at = np.searchsorted(others[order], keys)
    found = np.zeros(keys.size, bool)
    match = np.zeros(keys.size, np.int64)
    if order.size:
        at = np.minimum(at, order.size - 1)
        match = order[at]
        found = others[match] == keys
    code = np.where(found, second[match, column] if order.size else -1, -1)
    time = np.where(found, second[match, layout.T_TIME] if order.size else NOTHING, NOTHING)
    entry = entered(rng, first[:, layout.T_TIME], service, until)
    end_entry = entered(rng, np.where(found, time, until * 2), service, until)
    end_entry = np.where(end_entry > NOTHING, np.maximum(end_entry, entry + 30), NOTHING)
    end_entry = np.where(end_entry < until, end_entry, NOTHING)
    unknown = ~found | (end_entry == NOTHING)
    code = np.where(unknown, -1, code)
    time = np.where(unknown, NOTHING, time)
    end_entry = np.where(unknown, NOTHING, end_entry)
    keep = np.flatnonzero(entry > NOTHING)
    keep = keep[np.argsort(entry[keep], kind="stable")]
    return Pairs(first[keep], entry[keep], code[keep], time[keep], end_entry[keep])


def singles(
    events: np.ndarray, service: str, rng: np.random.Generator, until: int
) -> tuple[np.ndarray, np.ndarray]:
    """Events with the entry of each, those entered before the end of observation, in that order.

    Args:
        events: int64[rows, N_TAPE].
        service: service name.
        rng: chance.
        until: end of observation, UTC minutes.

    Returns:
        Events and UTC minutes of their entry.
    """
    entry = entered(rng, events[:, layout.T_TIME], service, until)
    keep = np.flatnonzero(entry > NOTHING)
    keep = keep[np.argsort(entry[keep], kind="stable")]
    return events[keep], entry[keep]


def opaque(events: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Numbers for references: the same for the same person and reference, in no order.

    >>> tape = np.zeros((3, 8), np.int64)
    >>> tape[:, 3] = [7, 8, 7]
    >>> numbers = opaque(tape, np.random.default_rng(1))
    >>> bool(numbers[0] == numbers[2]), bool(numbers[0] == numbers[1])
    (True, False)
    """
    keys = events[:, layout.T_PERSON] * 100_000 + events[:, layout.T_REF]
    _, where = np.unique(keys, return_inverse=True)
    return rng.permutation(int(where.max()) + 1 if where.size else 0)[where]
