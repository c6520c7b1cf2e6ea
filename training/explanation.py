"""From contributions to reasons: what goes with a person's risk, by life domain, with the facts.

A contribution says how the model weighed what is recorded. It is never worded as a cause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from training.texts import text

if TYPE_CHECKING:
    from features.catalogue import Feature
    from features.matrix import Matrix
    from training.champion import Champion

__all__ = ["Explanation", "Reason", "explain", "frame", "theme_shares"]

Floats = npt.NDArray[np.float64]

STRONG, MODERATE, NEGLIGIBLE = 0.70, 0.25, 0.02
"""Log-odds: a strong reason doubles the odds, a moderate one adds a quarter; under the last, no."""
FACTS = 2
"""Facts told for one theme at most."""
NEVER = int(np.iinfo(np.int32).min)


@dataclass(frozen=True)
class Reason:
    """One life domain that goes with a higher or a lower risk, and what is recorded there.

    Attributes:
        theme: Name of the domain.
        theme_label: What it is called, by language.
        strength: ``fort``, ``modéré`` or ``léger`` and its English, by language.
        sentences: The observed facts with their dates, by language, the weightiest first.
        features: Names of the features behind the sentences.
        contribution: Share in the raw score: the domain's net one, or that of the features told
            where the domain as a whole goes the other way.
    """

    theme: str
    theme_label: Mapping[str, str]
    strength: Mapping[str, str]
    sentences: Mapping[str, tuple[str, ...]]
    features: tuple[str, ...]
    contribution: float

    def as_dict(self) -> dict[str, Any]:
        """Plain content, for JSON."""
        return {
            "theme": self.theme,
            "theme_label": dict(self.theme_label),
            "strength": dict(self.strength),
            "sentences": {lang: list(found) for lang, found in self.sentences.items()},
            "features": list(self.features),
            "contribution": self.contribution,
        }


@dataclass(frozen=True)
class Explanation:
    """Why one row scored as it did.

    Attributes:
        base: Raw score of the average training row.
        themes: Net share of each life domain; with `base` they sum to the raw score.
        raises: Domains that go with a higher risk, the strongest first.
        lowers: Domains that go with a lower risk, the strongest first.
    """

    base: float
    themes: Mapping[str, float]
    raises: tuple[Reason, ...]
    lowers: tuple[Reason, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain content, for JSON."""
        return {
            "base": self.base,
            "themes": dict(self.themes),
            "raises": [reason.as_dict() for reason in self.raises],
            "lowers": [reason.as_dict() for reason in self.lowers],
        }


def frame(lang: str) -> dict[str, str]:
    """The headings around reasons, in one language: `raises`, `lowers`, `note`.

    Example:
        >>> frame("fr")["raises"]
        'Éléments qui accompagnent un risque plus élevé'
    """
    return {key: text(f"frame.{key}", lang) for key in ("raises", "lowers", "note")}


def theme_shares(contributions: Floats, themes: Sequence[str]) -> tuple[list[str], Floats]:
    """Contributions summed by theme.

    Args:
        contributions: [n, k + 1], the last column being the base.
        themes: [k] theme of each feature.

    Returns:
        Names of the themes, sorted, and their shares [n, themes].

    Example:
        >>> names, shares = theme_shares(np.array([[0.5, -0.2, 0.1, -1.0]]), ["b", "a", "b"])
        >>> names, shares.round(2).tolist()
        (['a', 'b'], [[-0.2, 0.6]])
    """
    names, place = np.unique(np.array(themes, object).astype(str), return_inverse=True)
    shares = np.zeros((len(contributions), len(names)))
    for column, theme in enumerate(place):
        shares[:, theme] += contributions[:, column]
    return names.tolist(), shares


def explain(
    champion: Champion,
    matrix: Matrix,
    rows: Sequence[int] | npt.NDArray[np.int64] | None = None,
    lang: Sequence[str] = ("fr", "en"),
    each_way: tuple[int, int] = (3, 5),
    *,
    contributions: Floats | None = None,
) -> list[Explanation]:
    """Reasons for rows of a matrix, three to five each way where there are so many.

    A domain is a reason when the net share of its features passes a threshold; weaker domains of
    the same sign fill up to the least number asked for. When there are still fewer, domains whose
    net share goes the other way fill up with those of their features that go this way, and with
    the share of these alone: both sides of a domain are then told. Within a domain the features
    that push the way of the reason are told, one for each group of features, the weightiest
    first. A feature without a value says that nothing is known.

    Args:
        champion: The model in service.
        matrix: Rows built with `champion.catalogue`.
        rows: Positions to explain; all when None.
        lang: Languages of the texts.
        each_way: Least and largest number of reasons up and down.
        contributions: [rows, k + 1] of those rows when `Champion.score` gave them already.

    Returns:
        One explanation for each row asked for, in that order.

    Raises:
        DataError: the matrix has another catalogue than the champion.
    """
    champion.check(matrix)
    chosen = np.arange(len(matrix.values)) if rows is None else np.asarray(rows, np.int64)
    values = matrix.values[chosen]
    last_seen = matrix.last_seen[chosen]
    if contributions is None:
        contributions = champion.model.contributions(values)
    features = champion.catalogue.features
    names, shares = theme_shares(contributions, [feature.theme for feature in features])
    members = {name: [i for i, f in enumerate(features) if f.theme == name] for name in names}
    group_place = {name: place for place, name in enumerate(champion.catalogue.groups)}
    labels = _theme_labels(champion, names, lang)
    found = []
    for row in range(len(chosen)):
        reasons: dict[int, tuple[Reason, ...]] = {}
        for sign in (1, -1):
            picked = _chosen(shares[row] * sign, each_way)
            pushes = shares[row].copy()
            if len(picked) < each_way[0]:
                gross = _gross(contributions[row], members, names, sign)
                against = [i for i in np.argsort(-gross, kind="stable") if gross[i] > 0]
                added = [int(i) for i in against if i not in picked]
                added = added[: each_way[0] - len(picked)]
                pushes[added] = gross[added] * sign
                picked = sorted([*picked, *added], key=lambda i: -pushes[i] * sign)
            reasons[sign] = tuple(
                _reason(
                    names[theme],
                    labels[names[theme]],
                    float(pushes[theme]),
                    _told(members[names[theme]], contributions[row], features, sign),
                    features,
                    values[row],
                    last_seen[row],
                    group_place,
                    lang,
                )
                for theme in picked
            )
        themes = dict(zip(names, shares[row].tolist(), strict=True))
        found.append(Explanation(float(contributions[row, -1]), themes, reasons[1], reasons[-1]))
    return found


def _chosen(pushes: Floats, each_way: tuple[int, int]) -> list[int]:
    """Themes that push up, the strongest first: clear ones up to the most, else up to the least."""
    least, most = each_way
    order = [int(i) for i in np.argsort(-pushes, kind="stable") if pushes[i] > 0]
    clear = sum(pushes[i] >= NEGLIGIBLE for i in order)
    return order[: min(most, max(clear, least))]


def _gross(
    contributions: Floats, members: Mapping[str, Sequence[int]], names: Sequence[str], sign: int
) -> Floats:
    """What the features of each theme that push one way amount to, the others left aside."""
    return np.array(
        [np.maximum(contributions[list(members[name])] * sign, 0.0).sum() for name in names]
    )


def _told(
    members: Sequence[int], contributions: Floats, features: Sequence[Feature], sign: int
) -> list[int]:
    """Features to tell: same sign as the theme, one for each group, the weightiest first."""
    order = sorted(
        (i for i in members if contributions[i] * sign > 0), key=lambda i: -contributions[i] * sign
    )
    told: list[int] = []
    for i in order:
        if len(told) == FACTS:
            break
        weak = told and contributions[i] * sign < 0.2 * contributions[told[0]] * sign
        if weak or any(features[i].group == features[j].group for j in told):
            continue
        told.append(i)
    return told


def _reason(
    theme: str,
    label: Mapping[str, str],
    share: float,
    told: Sequence[int],
    features: Sequence[Feature],
    values: npt.NDArray[np.float32],
    last_seen: npt.NDArray[np.int32],
    group_place: Mapping[str, int],
    lang: Sequence[str],
) -> Reason:
    from features.facts import sentence

    size = abs(share)
    word = "strong" if size >= STRONG else "moderate" if size >= MODERATE else "slight"
    days = {i: int(last_seen[group_place[features[i].group]]) for i in told}
    sentences = {
        one: tuple(
            sentence(features[i], float(values[i]), None if days[i] == NEVER else days[i], one)
            for i in told
        )
        for one in lang
    }
    strength = {one: text(f"strength.{word}", one) for one in lang}
    return Reason(theme, label, strength, sentences, tuple(features[i].name for i in told), share)


def _theme_labels(
    champion: Champion, names: Sequence[str], lang: Sequence[str]
) -> dict[str, dict[str, str]]:
    known = champion.settings.get("themes", {})
    return {name: {one: known.get(name, {}).get(one, name) for one in lang} for name in names}
