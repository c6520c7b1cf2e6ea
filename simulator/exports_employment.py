"""The employment service's files: `;`-separated UTF-8, literal NULL, ISO dates."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from simulator import layout
from simulator.formats import ISO, NOTHING, birthdays, codes, decimals, numbered
from simulator.history import History
from simulator.identities import NIR_SHARES, Identities, dialled, kept, misspell
from simulator.people import People
from simulator.remarks import remarks
from simulator.rows import appointments, pairs, singles
from simulator.sheets import Sheet

RECEIVERS = ("SOCIAL", "EMPLOI", "SANTE", "LOGEMENT", "FORMATION")
STATUSES = ("P", "R", "E", "A", "S", "X")
WRONG_STATUS = {"R": ("A", "E", "X"), "A": ("R", "E", "X"), "X": ("A",)}
BARRIERS = {
    "dif_financiere": layout.N_MONEY,
    "dif_admin_jur": layout.N_ADMIN,
    "dif_sante": layout.N_HEALTH,
    "dif_logement": layout.N_HOUSING,
    "dif_transport": layout.N_MOBILITY,
    "dif_inser_com": layout.N_SKILLS,
    "dif_familiale": layout.N_FAMILY,
}


def persons(
    people: People,
    identities: Identities,
    known: dict[str, np.ndarray],
    history: History,
    rng: np.random.Generator,
    seed: int,
) -> pa.Table:
    """`principal.csv`: persons, with the difficulties noted at the first interview."""
    here = np.flatnonzero(known["employment"])
    n = here.size
    started = np.full(known["employment"].size, np.iinfo(np.int64).max)
    for kind in (layout.K_REGISTRATION, layout.K_APPOINTMENT):
        events = history.of(kind)
        if kind == layout.K_APPOINTMENT:
            events = events[events[:, layout.T_B] == layout.EMPLOYMENT]
        np.minimum.at(started, events[:, layout.T_PERSON], events[:, layout.T_TIME])
    start = np.minimum(started[here], history.until - 1440)
    # A difficulty is noted when the need was known by the first weeks.
    raised = history.of(layout.K_NEED)
    raised = raised[raised[:, layout.T_B] == layout.RAISED]
    noted = np.zeros((started.size, layout.N_THEMES), bool)
    early = raised[raised[:, layout.T_TIME] <= started[raised[:, layout.T_PERSON]] + 20 * 1440]
    noted[early[:, layout.T_PERSON], early[:, layout.T_A]] = True
    pro = people.states[here, layout.TRACK] == layout.TRACK_PRO
    columns: dict[str, pa.Array | list[str]] = {
        "identifiant_unique_de": identities.ids["employment"].take(here),
        "nir": kept(identities.nir[here], rng.random(n) < NIR_SHARES["employment"]),
        "nom": misspell(np.char.upper(identities.families[here]), rng),
        "prenom": misspell(np.char.upper(identities.first_names[here]), rng),
        "date_naissance": birthdays(identities.birth[here], ISO.day),
        "inscription": ISO.days(start),
        "motif_inscription": codes(
            rng.integers(0, 4, n), ("FIN DE CDD", "LICENCIEMENT", "BRSA", "AUTRE")
        ),
        "categorie_inscription": codes(rng.integers(0, 3, n), ("1", "4", "5")),
        "modalite_accompagnement": codes(pro.astype(np.int64), ("GLO", "REN")),
        "struct_suivi": numbered("AGE", rng.integers(1, 9, n), 3),
        "suivi_debut": ISO.days(start),
        "suivi_fin_prev": ISO.days(start + 365 * 1440),
    }
    for name, theme in BARRIERS.items():
        columns[name] = codes(noted[here, theme].astype(np.int64), ("N", "O"))
    columns["brsa"] = pa.array(["O"] * n)
    columns["date_maj"] = ISO.instants(start + rng.integers(30, 3000, n))
    columns["telephone"] = dialled("employment", identities.phones[here], seed)
    return pa.table(columns)


def sheets(history: History, identities: Identities, rng: np.random.Generator) -> list[Sheet]:
    """The event files of the employment service, clean."""
    until = history.until
    ids = identities.ids["employment"]
    me = "identifiant_unique_de"

    def who(events: np.ndarray) -> pa.Array:
        return ids.take(events[:, layout.T_PERSON])

    def serial(prefix: str, size: int) -> pa.Array:
        return numbered(prefix, np.arange(1, size + 1))

    out: list[Sheet] = []
    e, at = singles(history.of(layout.K_REGISTRATION), "employment", rng, until)
    out.append(
        Sheet(
            "inscriptions.csv",
            {
                "id_evenement": serial("V", len(e)),
                me: who(e),
                "evenement": codes(e[:, layout.T_A], ("INS", "CES", "RAD")),
                "date_evenement": ISO.instants(e[:, layout.T_TIME]),
                "date_enregistrement": ISO.instants(at),
            },
            at,
            e[:, layout.T_TIME],
            me,
            "date_enregistrement",
            "evenement",
            ("date_evenement", "date_enregistrement"),
            "date_evenement",
            dialect=ISO,
        )
    )

    a = appointments(history.of(layout.K_APPOINTMENT), layout.EMPLOYMENT, rng, until)
    out.append(
        Sheet(
            "entretiens.csv",
            {
                "id_entretien": serial("E", a.due.size),
                me: ids.take(pa.array(a.person)),
                "date_planification": ISO.instants(a.created),
                "date_entretien": ISO.instants(a.due),
                "convocation": codes(a.summoned, ("N", "O")),
                "statut": codes(a.status, STATUSES),
                "date_statut": ISO.instants(a.entry),
                "commentaire": remarks(a.person, identities, rng),
            },
            a.entry,
            a.due,
            me,
            "date_statut",
            "statut",
            ("date_entretien", "date_planification"),
            "statut",
            wrong=WRONG_STATUS,
            dialect=ISO,
        )
    )

    signed = history.of(layout.K_CONTRACT)
    p = pairs(
        signed[signed[:, layout.T_A] != layout.CER],
        history.of(layout.K_CONTRACT_END),
        layout.T_B,
        "employment",
        rng,
        until,
    )
    young = p.first[:, layout.T_A] == layout.CEJ
    begun = 2 * young + (p.first[:, layout.T_B] > 1)
    closed = np.where(p.code >= 0, 3 * young + p.code, -1)
    out.append(
        Sheet(
            "contrats.csv",
            {
                "id_contrat": serial("K", begun.size),
                me: who(p.first),
                "code_contrat": codes(begun, ("PPAE-1", "PPAE-R", "CEJ-1", "CEJ-R")),
                "date_signature": ISO.days(p.first[:, layout.T_TIME]),
                "date_fin_prevue": ISO.days(p.first[:, layout.T_END] * 1440 + 660),
                "date_enregistrement": ISO.instants(p.entry),
                "date_fin": ISO.days(p.time),
                "motif_fin": codes(
                    closed, ("PPAE-E", "PPAE-C", "PPAE-T", "CEJ-E", "CEJ-C", "CEJ-T")
                ),
                "date_enreg_fin": ISO.instants(p.end_entry),
            },
            p.end_entry,
            p.time,
            me,
            "date_enreg_fin",
            "code_contrat",
            ("date_signature", "date_fin_prevue"),
            "date_fin",
            day_only=True,
            dialect=ISO,
        )
    )

    p = pairs(
        history.of(layout.K_WORK),
        history.of(layout.K_WORK_END),
        layout.T_B,
        "employment",
        rng,
        until,
    )
    kind = p.first[:, layout.T_A]
    out.append(
        Sheet(
            "emplois.csv",
            {
                "id_emploi": serial("J", kind.size),
                me: who(p.first),
                "type_debut": codes(kind, ("EMP-D", "IAE-D", "IMM-D")),
                "date_debut": ISO.instants(p.first[:, layout.T_TIME]),
                "date_fin_prevue": ISO.days(p.first[:, layout.T_END] * 1440 + 660),
                "heures_hebdo": decimals(p.first[:, layout.T_VALUE], ".", 1, kind >= 0),
                "date_enreg_debut": ISO.instants(p.entry),
                "type_fin": codes(
                    np.where(p.code >= 0, 2 * kind + p.code, -1),
                    ("EMP-F", "EMP-R", "IAE-F", "IAE-R", "IMM-F", "IMM-R"),
                ),
                "date_fin": ISO.instants(p.time),
                "date_enreg_fin": ISO.instants(p.end_entry),
            },
            p.end_entry,
            p.time,
            me,
            "date_enreg_fin",
            "type_debut",
            ("date_debut", "date_enreg_debut"),
            "date_fin",
            ("heures_hebdo",),
            dialect=ISO,
        )
    )

    p = pairs(
        history.of(layout.K_APPLICATION),
        history.of(layout.K_APPLICATION_ANSWER),
        layout.T_A,
        "employment",
        rng,
        until,
    )
    n = p.entry.size
    nothing = np.full(n, NOTHING)
    out.append(
        Sheet(
            "actions.csv",
            {
                "id_action": serial("T", n),
                me: who(p.first),
                "codeaction": pa.array(["CAND"] * n, pa.string()),
                "lblaction": pa.array(["Candidature"] * n, pa.string()),
                "objectif_formation": pa.nulls(n, pa.string()),
                "date_prescription": ISO.instants(p.first[:, layout.T_TIME]),
                "date_realisation_action": ISO.instants(p.time),
                "date_prev_debut": ISO.days(nothing),
                "date_debut": ISO.days(nothing),
                "date_fin": ISO.days(nothing),
                "formation": pa.nulls(n, pa.string()),
                "date_enregistrement": ISO.instants(p.entry),
                "suite": codes(p.code, ("ACC", "REF", "ANN")),
                "date_enreg_suite": ISO.instants(p.end_entry),
            },
            p.end_entry,
            p.time,
            me,
            "date_enreg_suite",
            "codeaction",
            ("date_prescription", "date_enregistrement"),
            "suite",
            dialect=ISO,
            wrong={"ACC": ("REF",), "REF": ("ANN", "ACC"), "ANN": ("REF",)},
        )
    )

    opened = history.of(layout.K_REFERRAL)
    opened = opened[opened[:, layout.T_A] == layout.EMPLOYMENT]
    p = pairs(opened, history.of(layout.K_REFERRAL_ANSWER), layout.T_A, "employment", rng, until)
    out.append(
        Sheet(
            "prescriptions.csv",
            {
                "id_prescription": serial("Q", p.entry.size),
                me: who(p.first),
                "service_destinataire": codes(p.first[:, layout.T_B], RECEIVERS),
                "date_prescription": ISO.instants(p.first[:, layout.T_TIME]),
                "date_enregistrement": ISO.instants(p.entry),
                "suite": codes(p.code, ("A", "R", "C")),
                "date_suite": ISO.instants(p.time),
                "date_enreg_suite": ISO.instants(p.end_entry),
            },
            p.end_entry,
            p.time,
            me,
            "date_enreg_suite",
            "service_destinataire",
            ("date_prescription", "date_enregistrement"),
            "suite",
            dialect=ISO,
            wrong={"A": ("R", "C"), "R": ("A",), "C": ("R",)},
        )
    )
    return out
