"""What the name of a column suggests, in French or English."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["meaning", "slug", "stripped", "tokens"]

MEANINGS: tuple[tuple[str, frozenset[str]], ...] = tuple(
    (name, frozenset(said.split()))
    for name, said in (
        ("nir", "nir nss numss ssn secu"),
        ("birth_date", "naissance naiss birth birthdate ddn dob"),
        ("first_name", "prenom prenoms firstname forename given"),
        ("phone", "tel telephone portable mobile phone gsm"),
        ("email", "mail email courriel mel"),
        ("place", "commune ville city zip cp postal adresse address insee quartier rue lieu town"),
        ("sensitive", "sexe sex genre gender nationalite nationality religion ethnie race pays"),
        ("staff", "referent conseiller agent gestionnaire travailleur instructeur worker user"),
        ("staff", "caseworker medecin docteur tuteur formateur educateur intervenant auteur"),
        ("staff", "author par by utilisateur operateur"),
        ("remark", "commentaire commentaires remarque remarques observation observations note"),
        ("remark", "notes comment comments remark remarks libre texte description"),
        ("last_name", "nom noms surname lastname patronyme name"),
        ("amount", "montant heures heure duree nombre nb amount hours duration count age quotite"),
        ("amount", "taux prix jours days somme total loyer dette"),
        ("person", "dossier usager beneficiaire allocataire personne person personal client"),
        ("person", "patient subject individu adherent stagiaire matricule demandeur participant"),
        ("person", "foyer menage identifiant"),
        ("recorded", "saisie saisi creation cree creee created enregistrement enregistre enreg"),
        (
            "recorded",
            "recorded entered planification modification modifie maj updated inserted horodatage",
        ),
        ("end", "fin end ended echeance expiration terme cloture"),
        ("time", "date jour day debut start rdv effet evenement event le time heure timestamp"),
        ("code", "statut status code etat state type motif nature categorie activity action"),
        ("code", "resultat issue reponse decision theme activite result outcome reason"),
        ("key", "id num numero ref reference key cle uuid ligne row"),
    )
)
"""What words of a name mean; the first that fits counts."""

PERSONAL = frozenset(
    [
        "nir",
        "birth_date",
        "first_name",
        "last_name",
        "phone",
        "email",
        "place",
        "sensitive",
        "staff",
        "remark",
    ]
)
"""Meanings of which no value is shown or mapped to an event."""


def stripped(text: str) -> str:
    """In lower case, without accents."""
    parted = unicodedata.normalize("NFKD", text)
    return "".join(c for c in parted if not unicodedata.combining(c)).lower()


def tokens(name: str) -> tuple[str, ...]:
    """The words of a name.

    Example:
        >>> tokens("dateSaisie"), tokens("N° de dossier"), tokens("RDV_créé")
        (('date', 'saisie'), ('n', 'de', 'dossier'), ('rdv', 'cree'))
    """
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return tuple(re.findall(r"[a-z]+|\d+", stripped(parted)))


def meaning(name: str, *, among: tuple[str, ...] | None = None) -> str | None:
    """What a name suggests, or None.

    Args:
        name: Of a column.
        among: The meanings that come into question; by default all.

    Example:
        >>> [meaning(n) for n in ("PersonalID", "date_saisie", "Prénom", "statut", "x")]
        ['person', 'recorded', 'first_name', 'code', None]
        >>> meaning("date_fin", among=("recorded", "end"))
        'end'
    """
    said = set(tokens(name))
    for name_of, wanted in MEANINGS:
        if said & wanted and (among is None or name_of in among):
            return name_of
    return None


def slug(text: str) -> str:
    """A lower-case word, as sources are called.

    Example:
        >>> slug("Rendez-vous 2024"), slug("2024")
        ('rendez_vous_2024', 'source_2024')
    """
    made = "_".join(tokens(text)) or "source"
    return made if made[0].isalpha() else f"source_{made}"
