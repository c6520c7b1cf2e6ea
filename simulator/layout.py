"""Codes and state layout of one simulated person.

A person's state is one row of int64 (`s`), a few rates in float64 (`q`) and fixed traits in
float64 (`f`).
The first `N_DEADLINES` fields of `s` are the next day on which each process has something to do
(`NEVER` when
nothing is planned), so that a day on which nothing is due costs one comparison.
Days are local (Europe/Paris) and counted from 2023-01-01; instants are minutes of UTC from
2023-01-01 00:00 UTC.
"""

from __future__ import annotations

NEVER = 1_000_000_000
"""A deadline that does not come."""
LONG_AGO = -1_000_000_000
"""An instant before anything."""
DAY = 1440

SOCIAL, EMPLOYMENT, HEALTH, HOUSING, TRAINING = range(5)
SERVICES = ("social", "employment", "health", "housing", "training")
N_SERVICES = 5

THEMES = (
    "MOBILITY", "CHILDCARE", "HEALTH", "HOUSING", "MONEY",
    "ADMIN", "LANGUAGE", "DIGITAL", "SKILLS", "FAMILY",
)  # fmt: skip
(N_MOBILITY, N_CHILDCARE, N_HEALTH, N_HOUSING, N_MONEY,
 N_ADMIN, N_LANGUAGE, N_DIGITAL, N_SKILLS, N_FAMILY) = range(10)  # fmt: skip
N_THEMES = 10

# Phases of a person.
WAITING, OPEN, CLOSED = range(3)
# Tracks.
TRACK_SOCIAL, TRACK_PRO, TRACK_SOCIO_PRO = range(3)
# Outcomes of an appointment.
PLANNED, SEEN, EXCUSED, NOSHOW, REVOKED, UNKNOWN = range(6)
# Rules of rupture, by their number.
R1, R5, R6, R7 = 1, 5, 6, 7
# Exits.
EXITS = (
    "JOB", "TRAINING", "RIGHTS_NOT_NEEDED", "MOVED", "RETIRED",
    "DEATH", "AGE_LIMIT", "DROPPED_OUT", "NO_SOLUTION",
)  # fmt: skip
(X_JOB, X_TRAINING, X_RIGHTS, X_MOVED, X_RETIRED, X_DEATH, X_AGE, X_DROPPED, X_NO_SOLUTION) = range(
    9
)

# What the tape holds: one row per event, columns below.
T_PERSON, T_KIND, T_TIME, T_REF, T_A, T_B, T_END, T_VALUE = range(8)
N_TAPE = 8
(K_ORIENTATION, K_REFERRAL, K_REFERRAL_ANSWER, K_CONTRACT, K_CONTRACT_END, K_APPOINTMENT,
 K_INVITATION, K_NEED, K_ACT, K_RSA, K_EXIT, K_REGISTRATION, K_WORK, K_WORK_END, K_APPLICATION,
 K_APPLICATION_ANSWER, K_HEALTH, K_SITUATION, K_HOUSING, K_LEARNING,
 K_ONSET) = range(21)  # fmt: skip

# Second codes of the tape (column A or B).
ORI_SOCIAL, ORI_PRO, ORI_SOCIO_PRO, REO_REQUESTED, REO_ACCEPTED, REO_DENIED = range(6)
ANSWER_ACCEPTED, ANSWER_REFUSED, ANSWER_EXPIRED = range(3)
CER, PPAE, CEJ = range(3)
END_EXPIRED, END_CANCELLED, END_ENDED = range(3)
I_SENT, I_DELIVERED, I_NOT_DELIVERED, I_OPENED, I_EXPIRED = range(5)
RAISED, ANSWERED, SETTLED = 1, 2, 3
(A_DIAGNOSIS, A_PLANNED, A_IN_PROGRESS, A_STANDBY, A_DONE, A_ABANDONED, A_CANCELLED,
 A_AID_OPEN, A_AID_ACCEPTED, A_AID_REFUSED, A_AID_ADJOURNED, A_AID_DROPPED) = range(12)  # fmt: skip
RSA_REFUSED, RSA_OPEN, RSA_SUSPENDED, RSA_PAYMENT_SUSPENDED, RSA_CLOSED = 1, 2, 3, 4, 5
REG_REGISTERED, REG_ENDED, REG_STRUCK_OFF = range(3)
W_JOB, W_IAE, W_IMMERSION = range(3)
WORK_ENDED, WORK_BROKEN = range(2)
H_BARRIER, H_REFERRAL, H_CARE = range(3)
HS_RAISED, HS_OPEN, HS_STARTED, HS_RESOLVED, HS_STOPPED = range(5)
SIT_STREET, SIT_SHELTER, SIT_HOSTED, SIT_SUPPORTED, SIT_SOCIAL, SIT_TENANT, SIT_OWNER = range(1, 8)
F_REHOUSING, F_EVICTION, F_ARREARS = range(3)
FS_OPENED, FS_DONE, FS_CLOSED = range(3)
L_COURSE, L_APPRENTICESHIP = range(2)
LS_OFFERED, LS_ENROLLED, LS_STARTED, LS_COMPLETED, LS_BROKEN = range(5)

# Motives of RSA states, by index (the exports write the text).
RSA_MOTIVES = ("", "06", "70", "CG", "CV", "DL", "GJ", "GL", "ECH", "RAU", "PCG", "01", "05", "MUT",
               "RGD", "RFD")  # fmt: skip
(
    M_NONE,
    M_06,
    M_70,
    M_CG,
    M_CV,
    M_DL,
    M_GJ,
    M_GL,
    M_ECH,
    M_RAU,
    M_PCG,
    M_01,
    M_05,
    M_MUT,
    M_RGD,
    M_RFD,
) = range(16)

# --- deadlines (days) ---
D_DUE = 0  # 5: day of the appointment planned by each service
D_PLAN = 5  # 5: day on which each service will plan one
D_NEED = 10  # 10: next change of each need
D_HAZARD = 20
D_ORIENTATION = 21
D_DIAGNOSIS = 22
D_CONTRACT = 23
D_REFERRAL = 24
D_INVITATION = 25
D_COURSE = 26
D_APPRENTICESHIP = 27
D_WORK = 28
D_IMMERSION = 29
D_APPLICATION = 30
D_AID = 31
D_ACTION = 32
D_REHOUSING = 33
D_ARREARS = 34
D_EVICTION = 35
D_CARE = 36
D_RSA = 37
D_BACK = 38
D_DROP = 39
D_R6 = 40  # 3
D_R5_COURSE = 43
D_R5_APPRENTICESHIP = 44
D_R7 = 45
D_REGISTRATION = 46
N_DEADLINES = 47

# --- the rest of the state ---
WAKE = 47
PERSON = 48
PHASE = 49
ENTRY = 50
OPEN_T = 51
EXIT_T = 52
EXIT_CODE = 53
TRACK = 54
DISENGAGED = 55
DISENGAGED_DAY = 56
SEEN_ANY = 57
SEEN_T = 58  # 5
NOSHOW_T = 63
NOSHOWS = 64
ONSET_T = 65
FIRST_ONSET = 66
FIRST_RULE = 67
NEXT_REF = 68
LAST_T = 69
DUE_T = 70  # 5
CREATED_T = 75  # 5
DUE_REF = 80  # 5
SUMMONED = 85  # 5
ACTIVE = 90  # 5: last day on which the service follows the person
NEED = 95  # 10
NEED_DAY = 105  # 10
NEED_REF = 115  # 10
LATENT = 125  # 10
ANSWER_DAY = 135
OFFER_DAY = 136
DIAGNOSIS_DAY = 137
CON_STATE = 138
CON_TYPE = 139
CON_RANK = 140
CON_END = 141
CON_REF = 142
REF_STATE = 143
REF_TO = 144
REF_FROM = 145
REF_REF = 146
REF_KIND = 147
R6_T = 148  # 3
R6_TO = 151  # 3
R5_COURSE_T = 154
R5_APPRENTICESHIP_T = 155
JOB_START_T = 156
APPRENTICESHIP_START_T = 157
COURSE = 158
COURSE_REF = 159
COURSE_END = 160
APPR = 161
APPR_REF = 162
APPR_END = 163
WORK = 164
WORK_KIND = 165
WORK_REF = 166
IMM_REF = 167
APP_REF = 168
AID_REF = 169
ACTION_REF = 170
ACTION_STATE = 171
REHOUSING = 172
REHOUSING_REF = 173
REHOUSED_DAY = 174
SITUATION = 175
ARREARS_REF = 176
EVICTION = 177
EVICTION_REF = 178
CARE = 179
CARE_REF = 180
RSA = 181
REGISTERED = 182
INV_STATE = 183
INV_REF = 184
INV_SERVICE = 185
INV_CHANNEL = 186
WORK_DAY = 187
REF_DAY = 188
N_STATE = 189

# States of spells kept in COURSE, APPR, WORK.
NO_SPELL, OFFERED, ENROLLED, RUNNING, BREAKING = range(5)

# --- rates (q) ---
Q_DISENGAGE, Q_EXIT, Q_NEWS, Q_TOTAL = range(4)
N_RATES = 4

# --- traits (f) ---
(F_FRAILTY, F_PACE, F_AGE, F_LONE, F_LOW_EDUCATION, F_DIGITAL, F_EMPLOYABLE, F_RURAL, F_SMS) = (
    range(9)
)
N_TRAITS = 9
