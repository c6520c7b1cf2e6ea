"""A peer group in words: whose peers, how many, how their values are spread, and from where."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from features.catalogue_text import say
from features.facts import LANGUAGES, day_text, days_text

if TYPE_CHECKING:
    from features.catalogue import Feature
    from features.peer_standing import Standing
    from features.vocabulary import Vocabulary

__all__ = ["standing_dict", "standing_lines"]

_WHAT = {
    "code": "peers: same situation",
    "service": "peers: same service",
    "reference": "peers: same file",
    "text_value": "peers: same category",
}
_HIDDEN = {
    "no_key": "none of the events that say who the peers are is known",
    "no_group": "no group is kept at or before this date: too few people, or too early",
    "small": "fewer than {fewest} people in the group: not shown, it could tell of one of them",
    "few_values": "fewer than {fewest} peers with a value: not shown, it could tell of one of them",
}
_SOURCES = {
    "champion": "groups kept with the champion, version {detail}",
    "matrix": "groups of the built matrix, {detail}",
    "computed": "computed now from the timelines: the people at risk at this date",
    "given": "groups given",
}


def standing_dict(
    found: Standing, vocabulary: Vocabulary, timezone: str, lang: str
) -> dict[str, Any]:
    """A peer group as plain values; nothing of it where it may not be told.

    Args:
        found: From :func:`features.peer_standing.standing`.
        vocabulary: For the labels of codes.
        timezone: Where days are local.
        lang: `fr` or `en`.
    """
    return {
        "same": found.peers,
        "key": found.key,
        "label": _label(found, vocabulary, lang),
        "at": None if found.since is None else _local(found.since, timezone).isoformat(),
        "people": found.people,
        "with_value": found.number,
        "mean": found.mean,
        "order_statistics": {f"{share:g}": value for share, value in found.marks.items()},
        "hidden": None if found.hidden is None else _why(found, lang),
        "source": found.source,
        "detail": found.detail,
    }


def standing_lines(
    found: Standing,
    rank: float,
    compared: Feature | None,
    vocabulary: Vocabulary,
    timezone: str,
    lang: str,
) -> list[str]:
    """A peer group as lines of text.

    Args:
        found: From :func:`features.peer_standing.standing`.
        rank: The person's rank, from 0 to 1; NaN where there is none.
        compared: The feature compared; None where the group itself is counted.
        vocabulary: For the labels of codes.
        timezone: Where days are local.
        lang: `fr` or `en`.

    Example:
        >>> from features.catalogue import Feature
        >>> from features.peer_standing import Standing
        >>> from features.vocabulary import Vocabulary
        >>> of = Feature("missed.count.90d", "missed", "count", 90, "contact",
        ...              {"fr": "Absences", "en": "Absences"}, "count", ("A",))
        >>> found = Standing("service", "social", datetime(2025, 4, 1), 40, 40, 1.5, {0.5: 1.0})
        >>> print("\\n".join(standing_lines(found, 0.8, of, Vocabulary.load(), "UTC", "en")))
          peers: same service: social
            40 people on 1 April 2025, 40 with a value
            rank: 0.8, from 0 (lowest) to 1 (highest)
            mean: 1.5
            50% have at most 1
            groups given
    """
    colon = " : " if lang == "fr" else ": "
    lines = [f"  {say(_WHAT[found.peers], lang)}{colon}{_label(found, vocabulary, lang) or '-'}"]
    if found.people is not None and found.since is not None:
        day = day_text(_local(found.since, timezone).date(), lang)
        said = say("{people} people on {day}", lang).format(people=found.people, day=day)
        if found.number is not None:
            said += ", " + say("{number} with a value", lang).format(number=found.number)
        lines.append(f"    {said}")
    if found.hidden is not None:
        lines.append(f"    {_why(found, lang)}")
    elif compared is not None and found.mean is not None:
        if not math.isnan(rank):
            said = say("rank: {rank}, from 0 (lowest) to 1 (highest)", lang)
            lines.append(f"    {said.format(rank=_number(rank, lang))}")
        lines.append(f"    {say('mean', lang)}{colon}{_value(found.mean, compared, lang)}")
        told = say("{share} have at most {value}", lang)
        lines += [
            "    " + told.format(share=_share(share, lang), value=_value(value, compared, lang))
            for share, value in found.marks.items()
        ]
    source = say(_SOURCES[found.source], lang).format(detail=found.detail)
    return [*lines, f"    {source}"]


def _value(value: float, feature: Feature, lang: str) -> str:
    """A value of a feature in its unit."""
    if feature.unit == "days":
        return ("-" if value < 0 else "") + days_text(value, lang)
    if feature.unit in ("share", "flag"):
        return _share(value, lang)
    number = _number(value, lang)
    return f"{number} €" if feature.unit in ("EUR", "EUR/month") else number


def _number(value: float, lang: str) -> str:
    from babel.numbers import format_decimal

    return format_decimal(round(value, 2), format="#,##0.##", locale=LANGUAGES[lang])


def _share(value: float, lang: str) -> str:
    from babel.numbers import format_percent

    return format_percent(value, locale=LANGUAGES[lang])


def _label(found: Standing, vocabulary: Vocabulary, lang: str) -> str | None:
    if found.key is not None and found.peers == "code" and found.key in vocabulary:
        return vocabulary.label(found.key, lang)
    return found.key


def _why(found: Standing, lang: str) -> str:
    return say(_HIDDEN[found.hidden or ""], lang).format(fewest=found.fewest)


def _local(instant: datetime, timezone: str) -> datetime:
    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(timezone))
