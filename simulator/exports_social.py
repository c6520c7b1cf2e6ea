"""The department's files: `;`-separated windows-1252, French dates, decimal commas."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from simulator import layout
from simulator.formats import FRENCH, NOTHING, birthdays, codes, decimals, numbered
from simulator.history import History
from simulator.identities import KEY_SHARES, NIR_SHARES, Identities, kept, misspell
from simulator.people import People
from simulator.remarks import remarks
from simulator.rows import appointments, opaque, pairs, singles
from simulator.sheets import Sheet

RECEIVERS = ("DEPT", "FT", "SANTE", "LOGT", "FORM")
ORIENTATIONS = ("ORI-SOC", "ORI-PRO", "ORI-SPR", "REO-DEM", "REO-ACC", "REO-REF")
ANSWERS = ("ACC", "REF", "EXP")
STATUSES = ("PREV", "HON", "EXC", "ABS", "ANN", "INC")
THEMES = ("MOB", "GAR", "SAN", "LOG", "ARG", "ADM", "LAN", "NUM", "COM", "FAM")
NEEDS = ("", "SIG", "REP", "CLO")
ACTS = (
    "DIA",
    "ACT-PLA",
    "ACT-COU",
    "ACT-ATT",
    "ACT-FAI",
    "ACT-ABA",
    "ACT-ANN",
    "AID-DEM",
    "AID-ACC",
    "AID-REF",
    "AID-AJO",
    "AID-DES",
)
EXITS = ("EMP", "FOR", "FDD", "DEM", "RET", "DCD", "AGE", "ABD", "SSO")
MESSAGES = ("ENV", "REM", "NREM", "OUV", "EXP")
# Excuses are entered before the date, when no other outcome can be: they are not corrected.
WRONG_STATUS = {"HON": ("ABS", "EXC", "INC"), "ABS": ("HON", "EXC", "INC"), "INC": ("ABS",)}


def persons(
    people: People, identities: Identities, known: dict[str, np.ndarray], rng: np.random.Generator
) -> pa.Table:
    """`personnes.csv`: everybody with rights.

    Args:
        people: everybody at entry.
        identities: names and numbers.
        known: for each service, bool[persons], whether it knows the person.
        rng: chance.

    Returns:
        One row a person known to the department.
    """
    here = np.flatnonzero(known["social"])
    n = here.size
    lone = people.traits[here, layout.F_LONE] > 0.5
    family = np.where(lone, 1, np.where(rng.random(n) < 0.3, 2, 0))
    shared = known["employment"][here] & (rng.random(n) < KEY_SHARES["social_to_employment"])
    changed = people.rsa_days[here] * 1440 + rng.integers(600, 60000, n)
    rural = people.traits[here, layout.F_RURAL] > 0.5
    town = np.where(rural, 99100 + rng.integers(1, 60, n), 99000 + rng.integers(1, 9, n))
    return pa.table(
        {
            "numero_dossier": identities.ids["social"].take(here),
            "nir": kept(identities.nir[here], rng.random(n) < NIR_SHARES["social"]),
            "nom": misspell(identities.families[here], rng),
            "prenom": misspell(identities.first_names[here], rng),
            "date_naissance": birthdays(identities.birth[here], FRENCH.day),
            "sexe": codes(people.woman[here].astype(np.int64), ("H", "F")),
            "situation_familiale": codes(family, ("ISO", "MON", "COU")),
            "enfants_a_charge": pa.array(people.children[here]).cast(pa.string()),
            "niveau_formation": codes(people.education[here], ("NIV3", "NIV4", "NIV5")),
            "code_commune": pa.array(town).cast(pa.string()),
            "telephone": kept(identities.phones[here], rng.random(n) < 0.9),
            "ident_france_travail": kept(
                np.array(identities.ids["employment"].to_pylist(), dtype=object)[here], shared
            ),
            "date_maj": FRENCH.instants(changed),
        }
    )


def _midnight(days: np.ndarray) -> np.ndarray:
    """Noon of local days, as UTC minutes: enough to write the day."""
    return days * 1440 + 660


def sheets(history: History, identities: Identities, rng: np.random.Generator) -> list[Sheet]:
    """The event files of the department, clean."""
    until = history.until
    ids = identities.ids["social"]

    def who(events: np.ndarray) -> pa.Array:
        return ids.take(events[:, layout.T_PERSON])

    def serial(prefix: str, size: int) -> pa.Array:
        return numbered(prefix, np.arange(1, size + 1))

    out: list[Sheet] = []

    e, at = singles(history.of(layout.K_ORIENTATION), "social", rng, until)
    out.append(
        Sheet(
            "orientations.csv",
            {
                "id_orientation": serial("O", at.size),
                "numero_dossier": who(e),
                "code_orientation": codes(e[:, layout.T_A], ORIENTATIONS),
                "date_decision": FRENCH.instants(e[:, layout.T_TIME]),
                "service_destinataire": codes(e[:, layout.T_B], RECEIVERS),
                "agent": numbered("AG", rng.integers(1, 80, at.size), 3),
                "date_saisie": FRENCH.instants(at),
            },
            at,
            e[:, layout.T_TIME],
            "numero_dossier",
            "date_saisie",
            "code_orientation",
            ("date_decision", "date_saisie"),
            "date_decision",
            dialect=FRENCH,
        )
    )

    opened = history.of(layout.K_REFERRAL)
    p = pairs(
        opened[opened[:, layout.T_A] == layout.SOCIAL],
        history.of(layout.K_REFERRAL_ANSWER),
        layout.T_A,
        "social",
        rng,
        until,
    )
    at = np.where(p.end_entry > NOTHING, p.end_entry, p.entry)
    answered = p.code >= 0
    out.append(
        Sheet(
            "relais.csv",
            {
                "id_relais": serial("L", at.size),
                "numero_dossier": who(p.first),
                "service_destinataire": codes(p.first[:, layout.T_B], RECEIVERS),
                "date_proposition": FRENCH.instants(p.first[:, layout.T_TIME]),
                "date_saisie": FRENCH.instants(p.entry),
                "reponse": codes(p.code, ANSWERS),
                "date_reponse": FRENCH.instants(p.time),
                "date_saisie_reponse": FRENCH.instants(p.end_entry),
            },
            np.where(answered, p.end_entry, NOTHING),
            p.time,
            "numero_dossier",
            "date_saisie_reponse",
            "service_destinataire",
            ("date_proposition", "date_saisie"),
            "reponse",
            dialect=FRENCH,
            wrong={"ACC": ("REF", "EXP"), "REF": ("ACC",), "EXP": ("REF",)},
        )
    )

    signed, ended = history.of(layout.K_CONTRACT), history.of(layout.K_CONTRACT_END)
    p = pairs(signed[signed[:, layout.T_A] == layout.CER], ended, layout.T_B, "social", rng, until)
    rank = p.first[:, layout.T_B]
    out.append(
        Sheet(
            "contrats.csv",
            {
                "id_contrat": serial("C", rank.size),
                "numero_dossier": who(p.first),
                "type_contrat": pa.array(["CER"] * rank.size, pa.string()),
                "rang": pa.array(rank).cast(pa.string()),
                "nature": codes((rank > 1).astype(np.int64), ("SIG", "REN")),
                "date_signature": FRENCH.days(p.first[:, layout.T_TIME]),
                "date_fin_prevue": FRENCH.days(_midnight(p.first[:, layout.T_END])),
                "heures_hebdo": decimals(p.first[:, layout.T_VALUE], ",", 1, rank > 0),
                "date_saisie": FRENCH.instants(p.entry),
                "date_fin_effective": FRENCH.days(p.time),
                "motif_fin": codes(p.code, ("ECH", "RES", "TER")),
                "date_saisie_fin": FRENCH.instants(p.end_entry),
            },
            p.end_entry,
            p.time,
            "numero_dossier",
            "date_saisie_fin",
            "nature",
            ("date_signature", "date_fin_prevue"),
            "date_fin_effective",
            ("heures_hebdo",),
            day_only=True,
            dialect=FRENCH,
        )
    )

    a = appointments(history.of(layout.K_APPOINTMENT), layout.SOCIAL, rng, until)
    out.append(
        Sheet(
            "rendez_vous.csv",
            {
                "id_rdv": serial("R", a.due.size),
                "numero_dossier": ids.take(pa.array(a.person)),
                "date_creation": FRENCH.instants(a.created),
                "date_rdv": FRENCH.instants(a.due),
                "convocation": codes(a.summoned, ("N", "O")),
                "statut": codes(a.status, STATUSES),
                "date_statut": FRENCH.instants(a.entry),
                "agent": numbered("AG", rng.integers(1, 80, a.due.size), 3),
                "commentaire": remarks(a.person, identities, rng),
            },
            a.entry,
            a.due,
            "numero_dossier",
            "date_statut",
            "statut",
            ("date_rdv", "date_creation"),
            "statut",
            wrong=WRONG_STATUS,
            dialect=FRENCH,
        )
    )

    # Messages are sent by a machine: entered within minutes.
    e = history.of(layout.K_INVITATION)
    e = e[(e[:, layout.T_TIME] < until - 60)]
    e = e[np.argsort(e[:, layout.T_TIME], kind="stable")]
    at = e[:, layout.T_TIME] + rng.integers(0, 20, len(e))
    out.append(
        Sheet(
            "invitations.csv",
            {
                "id_ligne": serial("M", len(e)),
                "numero_dossier": who(e),
                "id_invitation": numbered("I", opaque(e, rng)),
                "canal": codes(e[:, layout.T_B], ("SMS", "MEL")),
                "etat": codes(e[:, layout.T_A], MESSAGES),
                "date_etat": FRENCH.instants(e[:, layout.T_TIME]),
                "date_saisie": FRENCH.instants(at),
            },
            at,
            e[:, layout.T_TIME],
            "numero_dossier",
            "date_saisie",
            "etat",
            ("date_etat", "date_saisie"),
            "date_etat",
            dialect=FRENCH,
        )
    )

    e, at = singles(history.of(layout.K_NEED), "social", rng, until)
    out.append(
        Sheet(
            "besoins.csv",
            {
                "id_ligne": serial("B", len(e)),
                "numero_dossier": who(e),
                "id_besoin": numbered("N", opaque(e, rng)),
                "theme": codes(e[:, layout.T_A], THEMES),
                "etat": codes(e[:, layout.T_B], NEEDS),
                "date_etat": FRENCH.days(e[:, layout.T_TIME]),
                "date_saisie": FRENCH.instants(at),
            },
            at,
            e[:, layout.T_TIME],
            "numero_dossier",
            "date_saisie",
            "theme",
            ("date_etat", "date_saisie"),
            "date_etat",
            day_only=True,
            dialect=FRENCH,
        )
    )

    e, at = singles(history.of(layout.K_ACT), "social", rng, until)
    out.append(
        Sheet(
            "accompagnement.csv",
            {
                "id_ligne": serial("A", len(e)),
                "numero_dossier": who(e),
                "reference": numbered("P", opaque(e, rng)),
                "code_acte": codes(e[:, layout.T_A], ACTS),
                "date_acte": FRENCH.days(e[:, layout.T_TIME]),
                "montant": decimals(e[:, layout.T_VALUE], ",", 2, e[:, layout.T_VALUE] > 0),
                "date_saisie": FRENCH.instants(at),
            },
            at,
            e[:, layout.T_TIME],
            "numero_dossier",
            "date_saisie",
            "code_acte",
            ("date_acte", "date_saisie"),
            "date_acte",
            ("montant",),
            day_only=True,
            dialect=FRENCH,
        )
    )

    e, at = singles(history.of(layout.K_RSA), "social", rng, until)
    out.append(
        Sheet(
            "droits.csv",
            {
                "id_droit": serial("D", len(e)),
                "numero_dossier": who(e),
                "etat": pa.array(e[:, layout.T_A]).cast(pa.string()),
                "motif": codes(
                    np.where(e[:, layout.T_B] > 0, e[:, layout.T_B], -1), layout.RSA_MOTIVES
                ),
                "date_effet": FRENCH.days(e[:, layout.T_TIME]),
                "montant": decimals(e[:, layout.T_VALUE], ",", 2, e[:, layout.T_VALUE] > 0),
                "date_saisie": FRENCH.instants(at),
            },
            at,
            e[:, layout.T_TIME],
            "numero_dossier",
            "date_saisie",
            "etat",
            ("date_effet", "date_saisie"),
            "date_effet",
            ("montant",),
            day_only=True,
            dialect=FRENCH,
        )
    )

    e, at = singles(history.of(layout.K_EXIT), "social", rng, until)
    out.append(
        Sheet(
            "sorties.csv",
            {
                "id_sortie": serial("S", len(e)),
                "numero_dossier": who(e),
                "motif": codes(e[:, layout.T_A], EXITS),
                "date_sortie": FRENCH.instants(e[:, layout.T_TIME]),
                "date_saisie": FRENCH.instants(at),
            },
            at,
            e[:, layout.T_TIME],
            "numero_dossier",
            "date_saisie",
            "motif",
            ("date_sortie", "date_saisie"),
            "date_sortie",
            dialect=FRENCH,
        )
    )
    return out
