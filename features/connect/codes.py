"""Codes of the vocabulary that the values of a column may mean, by how alike their labels are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from features.connect.names import tokens
from features.vocabulary import Vocabulary

__all__ = ["Proposal", "propose"]

IGNORED = frozenset(
    [
        "a",
        "au",
        "aux",
        "avec",
        "code",
        "d",
        "date",
        "de",
        "des",
        "du",
        "en",
        "et",
        "etat",
        "export",
        "exports",
        "id",
        "l",
        "la",
        "le",
        "les",
        "libelle",
        "motif",
        "n",
        "nature",
        "num",
        "of",
        "par",
        "pour",
        "ref",
        "service",
        "sous",
        "statut",
        "status",
        "sur",
        "the",
        "to",
        "type",
        "un",
        "une",
        "vers",
        "csv",
    ]
)
ALIKE = 0.75
"""From here on two words are taken for the same."""

FITS = 0.6
"""From here on a value is taken for a status."""

SAME = {
    "rdv": ("rendez", "vous", "appointment"),
    "entretien": ("rendez", "vous", "appointment"),
    "entretiens": ("rendez", "vous", "appointment"),
    "rendezvous": ("rendez", "vous", "appointment"),
    "venu": ("honore",),
    "present": ("honore",),
    "absent": ("absence",),
    "nonvenu": ("absence",),
    "reporte": ("excuse",),
    "fini": ("fin",),
    "logt": ("logement",),
    "ft": ("france", "travail"),
}
"""Words that services write for others."""


@dataclass(frozen=True)
class Proposal:
    """What a column may mean.

    Attributes:
        group: The first two parts of the codes, as `CONTACT//APPOINTMENT`; None if none is near.
        statuses: The third part for each value that is near to one.
        others: Other groups that the context suggests.
        known: All the third parts of the group.
    """

    group: str | None
    statuses: Mapping[str, str]
    others: tuple[str, ...]
    known: tuple[str, ...]


@dataclass(frozen=True)
class _Group:
    name: str
    words: frozenset[str]
    statuses: Mapping[str, frozenset[str]]


def propose(
    values: Sequence[str], context: Iterable[str], vocabulary: Vocabulary | None = None
) -> Proposal:
    """Codes that the values of a column may mean, for a person to check.

    A value counts for a status when it is one of the words of its French or English label, or the
    beginning of one in three letters or more. All values of a column are taken for one kind of
    event: the one whose own words the context has, and whose statuses most values fit.

    Args:
        values: Of the column; may be empty.
        context: Names of the file and the columns.
        vocabulary: By default, the one that comes with Jalon.

    Example:
        >>> found = propose(["HON", "ABS", "ZZ"], ["rdv.csv", "statut"])
        >>> found.group, dict(found.statuses)
        ('CONTACT//APPOINTMENT', {'HON': 'SEEN', 'ABS': 'NOSHOW'})
        >>> propose(["x1"], ["table"]).group is None
        True
    """
    groups = _groups(vocabulary or Vocabulary.load())
    around = _words(context) - IGNORED
    scored = []
    for place, group in enumerate(groups):
        near = max((_alike(a, b) for a in around for b in group.words), default=0.0)
        hits = sum(_alike(a, b) >= ALIKE for a in around for b in group.words)
        statuses = {value: best for value in values if (best := _status(value, group)) is not None}
        fitting = len(statuses) / len(values) if values else 0.0
        near = near if near >= ALIKE else 0.0
        scored.append(
            (near + 0.05 * min(hits, 4) + fitting, -place, near, fitting, group, statuses)
        )
    scored.sort(key=lambda one: one[:2], reverse=True)
    others = tuple(one[4].name for one in scored[1:4] if one[0] >= ALIKE)
    _, _, near, fitting, group, statuses = scored[0]
    if near < ALIKE and fitting < 0.5:
        return Proposal(None, {}, others, ())
    return Proposal(group.name, statuses, others, tuple(group.statuses))


def _status(value: str, group: _Group) -> str | None:
    said = _words([value])
    best = max(
        group.statuses,
        key=lambda status: max(
            (_alike(a, b) for a in said for b in group.statuses[status]), default=0.0
        ),
    )
    score = max((_alike(a, b) for a in said for b in group.statuses[best]), default=0.0)
    return best if score >= FITS else None


@lru_cache(maxsize=1 << 16)
def _alike(one: str, other: str) -> float:
    if one == other:
        return 1.0
    short, long = sorted((one, other), key=len)
    if len(short) < 3:
        return 0.0
    if long.startswith(short):
        return 0.9
    ratio = SequenceMatcher(None, one, other).ratio()
    return ratio if ratio >= 0.8 and len(short) > 3 else 0.0


def _words(texts: Iterable[str]) -> frozenset[str]:
    found: list[str] = []
    for text in texts:
        for word in tokens(text):
            found += [word, *SAME.get(word, ())]
    return frozenset(found)


def _groups(vocabulary: Vocabulary) -> tuple[_Group, ...]:
    words: dict[str, set[str]] = {}
    statuses: dict[str, dict[str, frozenset[str]]] = {}
    for code in vocabulary.codes:
        domain, event, status = code.split("//")
        group = f"{domain}//{event}"
        said = [
            vocabulary.label(code, lang).replace(" :", ":").partition(":") for lang in ("fr", "en")
        ]
        words.setdefault(group, set()).update(
            _words([domain, event, *(one[0] for one in said)]) - IGNORED
        )
        statuses.setdefault(group, {})[status] = _words([status, *(one[2] for one in said)])
    return tuple(_Group(name, frozenset(words[name]), statuses[name]) for name in words)
