"""Health (JSON lines), housing (SQLite) and training (Parquet, Excel)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from simulator import layout
from simulator.formats import (
    FRENCH,
    ISO,
    ISO_OFFSET,
    birthdays,
    codes,
    decimals,
    numbered,
    timestamps,
)
from simulator.history import History
from simulator.identities import KEY_SHARES, NIR_SHARES, Identities, dialled, kept, misspell
from simulator.remarks import remarks
from simulator.rows import appointments, opaque, singles
from simulator.sheets import Sheet

HEALTH_STATUSES = ("prevu", "honore", "excuse", "absent", "annule_service", "inconnu")
TRAINING_STATUSES = ("PLANIFIE", "PRESENT", "EXCUSE", "ABSENT", "ANNULE", "NON_SAISI")
COURSE_CODES = ("FP", "FI", "FE", "FT", "FA", "AP", "AI", "AE", "AT", "AR")

HOUSING_TABLES = {
    "personne": "id_personne INTEGER, nir TEXT, numero_dossier_social TEXT, nom TEXT, prenom TEXT, "
    "date_naissance TEXT, maj_le TEXT, telephone TEXT",
    "situation": "id_situation TEXT, id_personne INTEGER, code INTEGER, date_debut TEXT, "
    "saisi_le TEXT",
    "dossier": "id_ligne TEXT, id_personne INTEGER, id_dossier TEXT, nature TEXT, etat TEXT, "
    "date_etat TEXT, "
    "montant TEXT, saisi_le TEXT",
    "rendez_vous": "id_rdv TEXT, id_personne INTEGER, cree_le TEXT, prevu_le TEXT, "
    "statut INTEGER, statut_le TEXT, commentaire TEXT",
}


def _wrong(codes_: tuple[str, ...] | tuple[int, ...]) -> dict[str | int, tuple[str | int, ...]]:
    seen, excused, absent, unknown = (
        codes_[i] for i in (layout.SEEN, layout.EXCUSED, layout.NOSHOW, layout.UNKNOWN)
    )
    return {
        seen: (absent, excused, unknown),
        absent: (seen, excused, unknown),
        unknown: (absent,),
    }


def health_persons(
    identities: Identities,
    known: dict[str, np.ndarray],
    until: int,
    rng: np.random.Generator,
    seed: int,
) -> pa.Table:
    """`patients.jsonl`: no NIR; the department's file number for nine in ten."""
    here = np.flatnonzero(known["health"])
    n = here.size
    social = np.array(identities.ids["social"].to_pylist(), dtype=object)[here]
    return pa.table(
        {
            "id_patient": identities.ids["health"].take(here),
            "dossier_social": kept(social, rng.random(n) < KEY_SHARES["health"]),
            "nom": misspell(identities.families[here], rng),
            "prenom": misspell(identities.first_names[here], rng),
            "date_naissance": birthdays(identities.birth[here], ISO.day),
            "maj_le": ISO_OFFSET.instants(rng.integers(until // 2, until, n)),
            "telephone": dialled("health", identities.phones[here], seed),
        }
    )


def health_sheets(
    history: History, identities: Identities, rng: np.random.Generator
) -> list[Sheet]:
    """Appointments and states of care; never a diagnosis."""
    until = history.until
    ids = identities.ids["health"]
    a = appointments(history.of(layout.K_APPOINTMENT), layout.HEALTH, rng, until)
    visits = Sheet(
        "rendez_vous.jsonl",
        {
            "id_rdv": numbered("H", np.arange(1, a.due.size + 1)),
            "id_patient": ids.take(pa.array(a.person)),
            "cree_le": ISO_OFFSET.instants(a.created),
            "prevu_le": ISO_OFFSET.instants(a.due),
            "statut": codes(a.status, HEALTH_STATUSES),
            "saisi_le": ISO_OFFSET.instants(a.entry),
        },
        a.entry,
        a.due,
        "id_patient",
        "saisi_le",
        "statut",
        ("prevu_le", "cree_le"),
        "statut",
        wrong=_wrong(HEALTH_STATUSES),
        dialect=ISO_OFFSET,
    )
    e, at = singles(history.of(layout.K_HEALTH), "health", rng, until)
    care = Sheet(
        "suivis.jsonl",
        {
            "id_ligne": numbered("G", np.arange(1, len(e) + 1)),
            "id_patient": ids.take(e[:, layout.T_PERSON]),
            "reference": numbered("P", opaque(e, rng)),
            "type": codes(e[:, layout.T_A], ("frein", "orientation", "soin")),
            "etat": codes(e[:, layout.T_B], ("signale", "ouvert", "debute", "resolu", "arrete")),
            "date": ISO_OFFSET.instants(e[:, layout.T_TIME]),
            "saisi_le": ISO_OFFSET.instants(at),
        },
        at,
        e[:, layout.T_TIME],
        "id_patient",
        "saisi_le",
        "etat",
        ("date", "saisi_le"),
        "date",
        dialect=ISO_OFFSET,
    )
    return [visits, care]


def housing_persons(
    identities: Identities,
    known: dict[str, np.ndarray],
    until: int,
    rng: np.random.Generator,
    seed: int,
) -> pa.Table:
    """Table `personne`: the NIR, or the department's file number when it is missing."""
    here = np.flatnonzero(known["housing"])
    n = here.size
    has = rng.random(n) < NIR_SHARES["housing"]
    social = np.array(identities.ids["social"].to_pylist(), dtype=object)[here]
    return pa.table(
        {
            "id_personne": identities.ids["housing"].take(here),
            "nir": kept(identities.nir[here], has),
            "numero_dossier_social": kept(social, ~has),
            "nom": misspell(identities.families[here], rng),
            "prenom": misspell(identities.first_names[here], rng),
            "date_naissance": birthdays(identities.birth[here], ISO.day),
            "maj_le": ISO.instants(rng.integers(until // 2, until, n)),
            "telephone": dialled("housing", identities.phones[here], seed),
        }
    )


def housing_sheets(
    history: History, identities: Identities, rng: np.random.Generator
) -> list[Sheet]:
    """Housing situations, files (re-housing, arrears, eviction) and appointments."""
    until = history.until
    ids = identities.ids["housing"]
    e, at = singles(history.of(layout.K_SITUATION), "housing", rng, until)
    situation = Sheet(
        "situation",
        {
            "id_situation": numbered("U", np.arange(1, len(e) + 1)),
            "id_personne": ids.take(e[:, layout.T_PERSON]),
            "code": pa.array(e[:, layout.T_A]),
            "date_debut": ISO.days(e[:, layout.T_TIME]),
            "saisi_le": ISO.instants(at),
        },
        at,
        e[:, layout.T_TIME],
        "id_personne",
        "saisi_le",
        "code",
        ("date_debut", "saisi_le"),
        "date_debut",
        day_only=True,
        dialect=ISO,
    )
    e, at = singles(history.of(layout.K_HOUSING), "housing", rng, until)
    files = Sheet(
        "dossier",
        {
            "id_ligne": numbered("W", np.arange(1, len(e) + 1)),
            "id_personne": ids.take(e[:, layout.T_PERSON]),
            "id_dossier": numbered("Z", opaque(e, rng)),
            "nature": codes(e[:, layout.T_A], ("REL", "EXP", "IMP")),
            "etat": codes(e[:, layout.T_B], ("O", "F", "C")),
            "date_etat": ISO.days(e[:, layout.T_TIME]),
            "montant": decimals(e[:, layout.T_VALUE], ".", 2, e[:, layout.T_VALUE] > 0),
            "saisi_le": ISO.instants(at),
        },
        at,
        e[:, layout.T_TIME],
        "id_personne",
        "saisi_le",
        "nature",
        ("date_etat", "saisi_le"),
        "date_etat",
        ("montant",),
        day_only=True,
        dialect=ISO,
    )
    a = appointments(history.of(layout.K_APPOINTMENT), layout.HOUSING, rng, until)
    visits = Sheet(
        "rendez_vous",
        {
            "id_rdv": numbered("Y", np.arange(1, a.due.size + 1)),
            "id_personne": ids.take(pa.array(a.person)),
            "cree_le": ISO.instants(a.created),
            "prevu_le": ISO.instants(a.due),
            "statut": pa.array(a.status),
            "statut_le": ISO.instants(a.entry),
            "commentaire": remarks(a.person, identities, rng),
        },
        a.entry,
        a.due,
        "id_personne",
        "statut_le",
        "statut",
        ("prevu_le", "cree_le"),
        "statut",
        wrong=_wrong((0, 1, 2, 3, 4, 5)),
        dialect=ISO,
    )
    return [situation, files, visits]


def training_persons(
    identities: Identities,
    known: dict[str, np.ndarray],
    until: int,
    rng: np.random.Generator,
    seed: int,
) -> pa.Table:
    """`stagiaires.xlsx`: the employment service's number, or the NIR when it is missing."""
    here = np.flatnonzero(known["training"])
    n = here.size
    has = known["employment"][here] & (rng.random(n) < KEY_SHARES["training"])
    employment = np.array(identities.ids["employment"].to_pylist(), dtype=object)[here]
    return pa.table(
        {
            "id_stagiaire": identities.ids["training"].take(here),
            "identifiant_unique_de": kept(employment, has),
            "nir": kept(identities.nir[here], ~has),
            "nom": misspell(identities.families[here], rng),
            "prenom": misspell(identities.first_names[here], rng),
            "date_naissance": birthdays(identities.birth[here], FRENCH.day),
            "inscrit_le": FRENCH.days(rng.integers(until // 3, until, n)),
            "telephone": dialled("training", identities.phones[here], seed),
        }
    )


def training_sheets(
    history: History, identities: Identities, rng: np.random.Generator
) -> list[Sheet]:
    """Courses and apprenticeships, appointments; typed columns."""
    until = history.until
    ids = identities.ids["training"]
    e, at = singles(history.of(layout.K_LEARNING), "training", rng, until)
    spell = e[:, layout.T_END] >= 0
    end = np.where(spell, e[:, layout.T_END] * 1440 + 960, -(10**9))
    courses = Sheet(
        "parcours.parquet",
        {
            "id_ligne": numbered("F", np.arange(1, len(e) + 1)),
            "id_stagiaire": ids.take(e[:, layout.T_PERSON]),
            "id_parcours": numbered("P", opaque(e, rng)),
            "code": codes(5 * e[:, layout.T_A] + e[:, layout.T_B], COURSE_CODES),
            "date_etat": timestamps(e[:, layout.T_TIME]),
            "fin_prevue": timestamps(end),
            "heures_hebdo": pa.array(e[:, layout.T_VALUE].astype(float), mask=~spell),
            "saisi_le": timestamps(at),
        },
        at,
        e[:, layout.T_TIME],
        "id_stagiaire",
        "saisi_le",
        "code",
        ("date_etat", "saisi_le"),
        "date_etat",
    )
    a = appointments(history.of(layout.K_APPOINTMENT), layout.TRAINING, rng, until)
    visits = Sheet(
        "rendez_vous.parquet",
        {
            "id_rdv": numbered("X", np.arange(1, a.due.size + 1)),
            "id_stagiaire": ids.take(pa.array(a.person)),
            "cree_le": timestamps(a.created),
            "prevu_le": timestamps(a.due),
            "statut": codes(a.status, TRAINING_STATUSES),
            "statut_le": timestamps(a.entry),
        },
        a.entry,
        a.due,
        "id_stagiaire",
        "statut_le",
        "statut",
        ("prevu_le", "cree_le"),
        "statut",
        wrong=_wrong(TRAINING_STATUSES),
    )
    return [courses, visits]
