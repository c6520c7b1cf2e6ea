"""What a person asks of the features: which there are, what one is, what is behind a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from features.catalogue_text import describe, described_lines, listing, say
from features.definitions import build_catalogue
from features.errors import DataError
from features.settings import FeaturesSettings
from features.vocabulary import Vocabulary

if TYPE_CHECKING:
    from features.catalogue import Catalogue, Feature
    from features.peer_standing import Against
    from features.territory import Territory

__all__ = ["Answer", "describe_feature", "explain_feature", "list_features", "next_words"]


@dataclass(frozen=True)
class Answer:
    """What was asked for, for a program (`payload`) and for a person (`lines`)."""

    payload: dict[str, Any]
    lines: Sequence[str]

    def text(self) -> str:
        """For a terminal."""
        return "\n".join(self.lines)


def next_words(lang: str) -> str:
    """What stands before the command that comes next, so that an answer is of one language.

    Example:
        >>> next_words("fr"), next_words("en")
        ('Ensuite :', 'Next:')
    """
    return say("Next:", lang)


def list_features(
    territory: Territory,
    *,
    theme: str | None = None,
    group: str | None = None,
    search: str | None = None,
    lang: str = "fr",
) -> Answer:
    """The territory's features, all or some; see :func:`features.catalogue_text.listing`.

    Args:
        territory: An opened territory; no timelines are needed.
        theme: Only this theme.
        group: Only this group.
        search: Only those with this text in their name or words.
        lang: `fr` or `en`.

    Raises:
        ConfigurationError: faults of the catalogue, an unknown theme, group or language.
    """
    settings = territory.section("features", FeaturesSettings)
    catalogue, vocabulary = build_catalogue(settings), Vocabulary.load(settings.vocabulary)
    rows = listing(catalogue, vocabulary, lang, theme=theme, group=group, search=search)
    return Answer(
        {"features": rows, "of": len(catalogue), "catalogue": catalogue.hash},
        _listed(rows) or [say("no feature", lang)],
    )


def _listed(rows: Sequence[dict[str, str]]) -> list[str]:
    """Name and words of each feature, under its theme."""
    width = max((len(row["name"]) for row in rows), default=0)
    lines: list[str] = []
    for theme in dict.fromkeys(row["theme"] for row in rows):
        lines.append(theme)
        lines += [
            f"  {row['name'].ljust(width)}  {row['says']}" for row in rows if row["theme"] == theme
        ]
    return lines


def describe_feature(territory: Territory, name: str, *, lang: str = "fr") -> Answer:
    """All about one feature; see :func:`features.catalogue_text.describe`.

    Args:
        territory: An opened territory; no timelines are needed.
        name: Name of the feature.
        lang: `fr` or `en`.

    Raises:
        ConfigurationError: no such feature, with the nearest name.
    """
    settings = territory.section("features", FeaturesSettings)
    feature = build_catalogue(settings).feature(name)
    found = describe(feature, Vocabulary.load(settings.vocabulary), settings, lang)
    return Answer(found, described_lines(found, lang))


def explain_feature(
    territory: Territory,
    person: int,
    name: str,
    at: datetime,
    *,
    lang: str = "fr",
    peers: Callable[[Catalogue, Feature], Against] | None = None,
) -> Answer:
    """The events behind one value of one person; see :func:`features.lineage.explain`.

    Args:
        territory: An opened territory with timelines.
        person: The pseudonym: `subject_id` in matrices and scores.
        name: Name of the feature.
        at: Prediction time, UTC without zone.
        lang: `fr` or `en`.
        peers: Gives the groups to compare with; asked only for a feature that compares peers.

    Raises:
        ConfigurationError: no such feature, with the nearest name.
        DataError: no timelines, or nobody of that pseudonym in them.
    """
    from features.lineage import explain
    from features.lineage_text import as_dict, lineage_lines
    from features.timelines import Timelines

    settings = territory.section("features", FeaturesSettings)
    catalogue, vocabulary = build_catalogue(settings), Vocabulary.load(settings.vocabulary)
    feature = catalogue.feature(name)
    timelines = Timelines.open(territory.home / "timelines")
    # A pseudonym is a positive int64; what is none of them is nobody's.
    events = timelines.person(person if 0 < person < 2**63 else 0)
    if not events.num_rows:
        raise DataError(
            f"explaining feature '{name}'",
            expected="a person of the timelines, by pseudonym",
            got="one that has no event",
            hint="Take a subject_id from a matrix or a score.",
        )
    against = peers(catalogue, feature) if peers is not None and feature.among_peers else None
    found = explain(
        events, person, at, feature, catalogue, peers=against, smallest=settings.smallest_group
    )
    zone = settings.timezone
    return Answer(
        as_dict(found, vocabulary, zone, lang), lineage_lines(found, vocabulary, zone, lang)
    )
