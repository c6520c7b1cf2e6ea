"""Outcomes as the bodies that a calling service reads, in one language."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from serving.instants import local_text
from serving.schemas import Answer, Item, ItemReasons, ReasonOut
from serving.settings import Bands, Language
from serving.wording import text

if TYPE_CHECKING:
    from serving.answering import Outcome, Scorer

__all__ = ["answer", "item"]


def answer(scorer: Scorer, outcomes: Sequence[Outcome], at: datetime, lang: Language) -> Answer:
    """The body of an answer; identifiers are not in it, the order says who is who.

    Args:
        scorer: What answered.
        outcomes: In the order of the request.
        at: Prediction time, UTC without zone.
        lang: Language of labels, strengths, facts and messages.
    """
    scores = [outcome.score for outcome in outcomes if outcome.score]
    version = scores[0]["model_version"] if scores else scorer.champion.version
    known = {score["data_version"] for score in scores} - {-1}
    return Answer(
        territory=scorer.territory.name,
        model=scorer.model_name,
        model_version=version,
        prediction_time=local_text(at, scorer.features.timezone),
        data_version=max(known, default=None),
        lang=lang,
        results=[
            item(index, outcome, scorer.settings.bands, lang)
            for index, outcome in enumerate(outcomes)
        ],
    )


def item(index: int, outcome: Outcome, bands: Bands, lang: Language) -> Item:
    """The answer for one person or timeline.

    The band follows the territory's present thresholds.

    Example:
        >>> from serving.answering import Outcome
        >>> item(2, Outcome("unknown_person"), Bands(), "en").message
        'Unknown identifier in this system: no data was received for this person.'
    """
    score = outcome.score
    if score is None:
        return Item(
            index=index, status=outcome.status, message=text(f"status.{outcome.status}", lang)
        )
    band = bands.of(score["risk"])
    return Item(
        index=index,
        status=outcome.status,
        score_id=score["score_id"] if outcome.stored else None,
        risk=score["risk"],
        band=band,
        band_label=text(f"band.{band}", lang),
        reasons=ItemReasons(
            raises=[_reason(reason, lang) for reason in score["reasons"]["raises"]],
            lowers=[_reason(reason, lang) for reason in score["reasons"]["lowers"]],
        ),
    )


def _reason(reason: dict[str, Any], lang: Language) -> ReasonOut:
    return ReasonOut(
        theme=reason["theme"],
        label=reason["label"][lang],
        strength=reason["strength"][lang],
        facts=reason["facts"][lang],
    )
