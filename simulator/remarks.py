"""Free comments, with what people write in them by accident."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from simulator.identities import Identities

WRITTEN = 0.04
WITH_PHONE = 0.05
WITH_NIR = 0.02

_REMARKS = (
    "À rappeler", "Venu avec un proche", "Demande un créneau le matin", "Prévenue par téléphone",
    "Point sur la garde d'enfants", "Difficulté de transport évoquée", "Très motivé",
    "Reçue à l'antenne", "Dossier à compléter", "Voir avec la référente", "Retard de 20 minutes",
)  # fmt: skip


def remarks(person: np.ndarray, identities: Identities, rng: np.random.Generator) -> pa.Array:
    """One comment a row, most of them null.

    Args:
        person: simulation person of each row, int64.
        identities: for the accidents.
        rng: chance.

    Returns:
        Strings; about 4 % written, one in twenty of these with a telephone number, one in fifty
        with a NIR.
    """
    out: list[str | None] = [None] * person.size
    for i in np.flatnonzero(rng.random(person.size) < WRITTEN):
        text = _REMARKS[int(rng.integers(0, len(_REMARKS)))]
        u = rng.random()
        if u < WITH_PHONE:
            text += f" (tél {identities.phones[person[i]]})"
        elif u < WITH_PHONE + WITH_NIR:
            text += f" n° sécu {identities.nir[person[i]]}"
        out[int(i)] = text
    return pa.array(out, pa.string())
