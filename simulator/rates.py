"""Parameters of the process: published figures where there is one, otherwise a stated range.

Every constant without a source is a choice inside the range written beside it; the ranges come from
what is plausible in a French department, not from a publication. `figures.py` measures what comes
out and the tests compare it with the published figures.
"""

from __future__ import annotations

import numpy as np

from simulator.layout import N_SERVICES, N_THEMES

BARRIERS = np.array([0.43, 0.25, 0.29, 0.20, 0.18, 0.15, 0.10, 0.14, 0.12, 0.08])
"""Share of persons with each need at entry, in the order of `layout.THEMES`.

Mobility 43 %, childcare 25, health 29, housing 20, administrative 15, skills 12: RSA pilots, 2024.
Drawn independently, these six leave 18 % without any, which is the published 82 % with at least
one. Money, language, digital and family are not published (range 5 to 25 %) and are drawn only for
persons with one of the six.
"""
PUBLISHED_BARRIERS = (0, 1, 2, 3, 5, 8)

TRACK_SHARES = np.array([0.32, 0.40, 0.28])
"""Department, France Travail, other (DREES OARSA, end 2023)."""

ORIENTATION_MEDIAN = 64.0
ORIENTATION_SPREAD = 0.65
"""Log-normal delay from RSA opening to orientation: mean 79 days (DREES OARSA, end 2023)."""
NEVER_ORIENTED = 0.08
"""Share never oriented; with the long delays, 10 % are not oriented a year after the opening
(DREES OARSA)."""

SUMMONED_SHARE = 0.25
"""Of appointments; with no-shows of 19.0 % when summoned and 10.6 % when not, the whole is at 12.7
% (rdv-insertion)."""
P_REVOKED = 0.045
P_UNKNOWN = 0.125
"""Shares of all appointments (rdv-insertion 2025)."""
P_EXCUSED = 0.157
"""Of appointments neither revoked nor unknown: 12 % of all are excused (rdv-insertion 2025)."""

P_DELIVERED = 0.89
P_OPENED_SMS = 0.50
P_OPENED_MAIL = 0.31
"""Messages (rdv-insertion 2025)."""
INVITATION_DAYS = 10
"""A booking link expires after ten days (rdv-insertion)."""

INTERVALS = np.array([29.0, 26.0, 29.0, 33.0, 28.0])
"""Median days between the planning of a follow-up appointment and its date, by service (range 20
to 60)."""
WAITS = np.array([16.0, 13.0, 24.0, 27.0, 20.0])
"""Median days from hand-over to the first appointment, by service, before the month's factor
(range 7 to 45)."""

CONTRACT_DELAY = 38.0
"""Median days from orientation to contract; mean 57 (DREES 2017)."""
P_CONTRACT = np.array([0.62, 0.85, 0.62])
"""Share who ever sign, by track; set so that 49 % of the non-France-Travail hold one (DREES OARSA,
end 2023)."""

ABANDON_BASE = 0.024
ABANDON_BASE_YOUNG = 0.060
"""Courses abandoned for a reason of their own; with disengagement 8 % in all, 12 % under 26 (DARES
2019)."""
APPRENTICESHIP_BASE = 0.13
"""Apprenticeships broken for a reason of their own; with disengagement 21 % at nine months (DARES
2022)."""
IAE_BASE = 0.06
"""IAE jobs broken for a reason of their own; with disengagement in the range 12 to 25 % (not
published)."""

PER_DAY = 1.0 / 365.25

NEWS = np.array(
    [0.60, 0.28, 0.10, 0.60, 0.10, 0.26, 0.45, 0.16, 0.55, 0.80, 0.12, 0.16, 0.05]
) * PER_DAY  # fmt: skip
"""Per day: new need, referral, reorientation, course offer, apprenticeship offer (under 30), IAE
job, short job, immersion, aid request, action-plan line, rent arrears, re-housing opened, neutral
suspension of rights (ranges: half to twice)."""
(NEW_NEED, NEW_REFERRAL, NEW_REORIENTATION, NEW_COURSE, NEW_APPRENTICESHIP, NEW_IAE, NEW_JOB,
 NEW_IMMERSION, NEW_AID, NEW_ACTION, NEW_ARREARS, NEW_REHOUSING, NEW_SUSPENSION) = (
    range(13))  # fmt: skip
N_NEWS = 13

LEAVES_WAITING = 0.25 * PER_DAY
"""Daily rate of leaving the RSA before any orientation (range 0.15 to 0.35 a year)."""

EXIT_RATES = np.array([0.150, 0.020, 0.050, 0.020, 0.0, 0.006, 0.0, 0.0, 0.002]) * PER_DAY
"""Per day, in the order of `layout.EXITS`, before the person's factors: 25 % leave the RSA in a
year (DREES)."""
RETIREMENT_AGE = 64.0
RETIREMENT_RATE = 1.2 * PER_DAY

# --- disengagement: log-hazard, ranges half to twice ---
BASE = -9.35
NEED_WEIGHT = np.array([1.0, 1.1, 1.0, 1.1, 0.8, 0.6, 0.6, 0.5, 0.5, 0.9])
W_FRAILTY = 0.5
W_NEED = 2.1
W_TIMELY = -0.45
W_REHOUSED_ALONE = 2.8
W_REHOUSED_TOGETHER = -0.8
W_DIAGNOSIS_ALONE = 2.2
W_DIAGNOSIS_TOGETHER = -1.4
W_OFFER_ALONE = 1.7
W_BUSY_UNMET = 3.0
W_SICK_PUSHED = 1.8
W_SILENCE = 0.2
W_ABSENCE = 1.3
W_CONTRACT_END = 0.9
W_CONTRACT_OVER = 0.7
W_HAND_OVER = 1.3
W_IN_STEP = -1.1
W_UNHOUSED = 0.35
W_EVICTION = 1.2
W_YOUNG = 0.3
W_SEASON = 0.25
W_SUMMER_ALONE = 0.3

assert BARRIERS.size == NEED_WEIGHT.size == N_THEMES
assert INTERVALS.size == WAITS.size == N_SERVICES
