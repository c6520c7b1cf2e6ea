"""The rupture rules once more, written slowly from their text, over a person's list of events."""

from __future__ import annotations

from simulator import layout

DAY = 1440
SEEN_END = 10**12


def opening(events: list[list[int]]) -> int | None:
    """Instant of the first orientation decision."""
    found = [
        e[layout.T_TIME]
        for e in events
        if e[layout.T_KIND] == layout.K_ORIENTATION and e[layout.T_A] <= layout.ORI_SOCIO_PRO
    ]
    return min(found) if found else None


def closing(events: list[list[int]]) -> tuple[int, int]:
    """Instant and code of the exit; far away and -1 without one."""
    found = [(e[layout.T_TIME], e[layout.T_A]) for e in events if e[layout.T_KIND] == layout.K_EXIT]
    return min(found) if found else (SEEN_END, -1)


def appointments(events: list[list[int]], status: int) -> list[tuple[int, int]]:
    """Instants and services of the appointments of one status."""
    return sorted(
        (e[layout.T_TIME], e[layout.T_B])
        for e in events
        if e[layout.T_KIND] == layout.K_APPOINTMENT and e[layout.T_A] == status
    )


def onsets(events: list[list[int]], until: int) -> list[tuple[int, int]]:
    """All onsets of R1, R5, R6, R7 while the pathway is open, before `until`."""
    start = opening(events)
    if start is None:
        return []
    end, how = closing(events)
    seen = appointments(events, layout.SEEN)
    out: list[tuple[int, int]] = []

    missed = [t for t, _ in appointments(events, layout.NOSHOW)]
    for s in missed:
        last = max((t for t, _ in seen if t < s), default=-SEEN_END)
        if sum(1 for t in missed if s - 90 * DAY < t <= s and t > last) >= 2:
            out.append((s, 1))

    def times(kind: int, a: int, b: int | None = None) -> list[int]:
        return [
            e[layout.T_TIME]
            for e in events
            if e[layout.T_KIND] == kind and e[layout.T_A] == a and (b is None or e[layout.T_B] == b)
        ]

    out += [(s, 5) for s in times(layout.K_WORK_END, layout.W_IAE, layout.WORK_BROKEN)]
    jobs = times(layout.K_WORK, layout.W_JOB)
    for s in times(layout.K_LEARNING, layout.L_COURSE, layout.LS_BROKEN):
        if not any(s <= t < s + 30 * DAY for t in jobs):
            out.append((s + 30 * DAY, 5))
    starts = times(layout.K_LEARNING, layout.L_APPRENTICESHIP, layout.LS_STARTED)
    for s in times(layout.K_LEARNING, layout.L_APPRENTICESHIP, layout.LS_BROKEN):
        if not any(s <= t < s + 180 * DAY for t in starts):
            out.append((s + 180 * DAY, 5))

    accepted = [
        (e[layout.T_TIME], e[layout.T_B])
        for e in events
        if (
            e[layout.T_KIND] == layout.K_REFERRAL_ANSWER and e[layout.T_A] == layout.ANSWER_ACCEPTED
        )
        or (e[layout.T_KIND] == layout.K_ORIENTATION and e[layout.T_A] == layout.REO_ACCEPTED)
    ]
    for s, receiver in accepted:
        if not any(s <= t < s + 45 * DAY and k == receiver for t, k in seen):
            out.append((s + 45 * DAY, 6))

    contacts = [start] + [t for t, _ in seen if t > start]
    for here, following in zip(contacts, [*contacts[1:], SEEN_END], strict=True):
        if here + 120 * DAY <= min(following, end):
            out.append((here + 120 * DAY, 7))
    if how >= layout.X_DROPPED:
        out.append((end, 7))
    return sorted((t, rule) for t, rule in out if start <= t <= end and t < until)


def row(events: list[list[int]], t: int, until: int) -> str | None:
    """Outcome of a row at t, None when the person is not at risk."""
    start = opening(events)
    end, how = closing(events)
    if start is None or start >= t or end < t:
        return None
    found = onsets(events, until)
    before = [x for x, _ in found if x < t]
    seen = [x for x, _ in appointments(events, layout.SEEN) if x < t]
    if before and not any(x > max(before) for x in seen):
        return None
    after = [(x, rule) for x, rule in found if t <= x < t + 90 * DAY]
    if after and after[0][0] <= end:
        return f"R{after[0][1]}"
    if end < t + 90 * DAY and how < layout.X_DROPPED:
        return "competing"
    return "no_rupture"
