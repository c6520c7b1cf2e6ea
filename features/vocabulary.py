"""Event codes with their French and English labels, and what a territory adds to them."""

from __future__ import annotations

import csv
import difflib
import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from features.errors import ConfigurationError
from features.settings import CodeEntry, Label

__all__ = ["Code", "Vocabulary"]

THEMES: dict[str, tuple[str, str]] = {
    "alert": ("Alerte partagée", "Shared alert"),
    "contact": ("Rendez-vous et contacts", "Appointments and contacts"),
    "contract": ("Contrats d'engagement", "Commitment contracts"),
    "employment": ("Emploi", "Employment"),
    "exit": ("Sortie du parcours", "Exit from the pathway"),
    "health": ("Santé", "Health"),
    "housing": ("Logement", "Housing"),
    "needs": ("Besoins", "Needs"),
    "orientation": ("Orientation et relais", "Orientation and referrals"),
    "pathway": ("Parcours", "Pathway"),
    "rights": ("Droits", "Rights"),
    "services": ("Coordination des services", "Coordination of services"),
    "social": ("Accompagnement social", "Social support"),
    "training": ("Formation", "Training"),
}


@dataclass(frozen=True)
class Code:
    """One code: its labels, theme, unit, and whether it may be used before it happens."""

    code: str
    label: Label
    theme: str
    planned: bool
    unit: str | None
    provenance: str


class Vocabulary:
    """The codes an event may bear.

    Example:
        >>> vocabulary = Vocabulary.load()
        >>> vocabulary.label("CONTACT//APPOINTMENT//NOSHOW", "fr")
        'Rendez-vous : absence'
        >>> vocabulary.matching("ORIENTATION//REFERRAL//A*")
        ('ORIENTATION//REFERRAL//ACCEPTED',)
        >>> vocabulary.label("CONTACT//APPOINTMENT//NOSHOWN", "en")
        Traceback (most recent call last):
        features.errors.ConfigurationError: looking up code 'CONTACT//APPOINTMENT//NOSHOWN'. \
Expected a code of the vocabulary. Hint: Did you mean 'CONTACT//APPOINTMENT//NOSHOW'?
    """

    def __init__(self, codes: Iterable[Code]) -> None:
        self._codes = {code.code: code for code in codes}

    @classmethod
    def load(cls, extra: Sequence[CodeEntry] = ()) -> Vocabulary:
        """The shipped vocabulary with a territory's additions; an addition may not replace.

        Raises:
            ConfigurationError: a code that exists already, or is not ``DOMAIN//EVENT//STATUS``.
        """
        codes = list(_shipped())
        known = {code.code for code in codes}
        faults = []
        for entry in extra:
            if entry.code in known:
                faults.append(f"'{entry.code}' exists already")
            elif len(entry.code.split("//")) != 3 or not all(entry.code.split("//")):
                faults.append(f"'{entry.code}' is not DOMAIN//EVENT//STATUS")
            known.add(entry.code)
            codes.append(
                Code(
                    entry.code,
                    entry.label,
                    entry.theme,
                    entry.planned,
                    entry.unit,
                    entry.provenance,
                )
            )
        if faults:
            raise ConfigurationError(
                f"features.vocabulary: {'; '.join(faults)}",
                expected="new codes of three parts",
                hint="Rename or remove those entries.",
            )
        return cls(codes)

    @property
    def codes(self) -> tuple[str, ...]:
        """Every code, in the order of the file."""
        return tuple(self._codes)

    @property
    def planned(self) -> frozenset[str]:
        """Codes of things that are known before they happen."""
        return frozenset(code.code for code in self._codes.values() if code.planned)

    @property
    def themes(self) -> tuple[str, ...]:
        """Every theme that a code bears, in order of appearance."""
        return tuple(dict.fromkeys(code.theme for code in self._codes.values()))

    def __contains__(self, code: object) -> bool:
        return code in self._codes

    def __getitem__(self, code: str) -> Code:
        if code not in self._codes:
            close = self.nearest(code)
            raise ConfigurationError(
                f"looking up code '{code}'",
                expected="a code of the vocabulary",
                hint=f"Did you mean '{close}'?" if close else "Add it under features.vocabulary.",
            )
        return self._codes[code]

    def nearest(self, code: str) -> str | None:
        """The known code that looks most like this one."""
        close = difflib.get_close_matches(code, self._codes, n=1, cutoff=0.6)
        return close[0] if close else None

    def label(self, code: str, lang: str) -> str:
        """A code's label in ``fr`` or ``en``."""
        return str(getattr(self[code].label, lang))

    def theme(self, code: str) -> str:
        """The theme a code belongs to."""
        return self[code].theme

    def theme_label(self, theme: str, lang: str) -> str:
        """A theme's name in ``fr`` or ``en``; a territory's own theme is shown as written."""
        if theme in THEMES:
            return THEMES[theme][0 if lang == "fr" else 1]
        return theme.capitalize()

    def matching(self, pattern: str) -> tuple[str, ...]:
        """Codes that a pattern means, `*` standing for anything; none gives an empty tuple."""
        if "*" not in pattern:
            return (pattern,) if pattern in self._codes else ()
        return tuple(code for code in self._codes if fnmatch.fnmatchcase(code, pattern))


@lru_cache(maxsize=1)
def _shipped() -> tuple[Code, ...]:
    text = resources.files("features").joinpath("vocabulary.csv").read_text(encoding="utf-8")
    return tuple(
        Code(
            row["code"],
            Label(fr=row["label_fr"], en=row["label_en"]),
            row["theme"],
            row["planned"] == "yes",
            row["unit"] or None,
            row["provenance"],
        )
        for row in csv.DictReader(text.splitlines())
    )
