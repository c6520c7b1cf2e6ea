"""Scores with reasons: the one path from events to stored rows, and the batch that runs it."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from features.settings import FeaturesSettings
from features.territory import Territory
from serving.database import Database, database_url, utc_now
from serving.instants import local_text, read_prediction_time
from serving.settings import Bands, ServingSettings
from serving.wording import LANGUAGES
from training.settings import TrainingSettings

if TYPE_CHECKING:
    from features.timelines import Timelines
    from training.champion import Champion
    from training.explanation import Explanation, Reason

__all__ = ["CHUNK", "ScoringReport", "score_cohort", "score_id", "score_territory"]

CHUNK = 2_000
"""People explained and stored in one transaction."""
EACH_WAY = (3, 5)
"""Fewest and most reasons that raise, and that lower, when there are as many."""


@dataclass(frozen=True)
class ScoringReport:
    """What a batch did, for whoever ran it.

    Attributes:
        people: Everyone in an open pathway at risk at the prediction time, as known then, who does
            not object to being scored.
        new: Scores stored now; the rest was stored before, by the same model on the same data.
        bands: People by band, with the territory's present thresholds.
        model: Kind and version of the champion.
        prediction_time: In the territory's zone.
        data_version: Version of the timelines.
        seconds: Wall time.
        stored_in: Address of the state database, without password.
    """

    people: int
    new: int
    bands: dict[str, int]
    model: str
    prediction_time: str
    data_version: int
    seconds: float
    stored_in: str

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return asdict(self)


def score_territory(
    territory: Territory,
    at: str | date | datetime | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> ScoringReport:
    """Score everyone in an open pathway with the champion, as known at an instant, and store it.

    People who object to being scored are left out.

    People who have a score of this model, instant and data version are not scored again, so a
    batch that was stopped goes on where it stopped.

    Args:
        territory: With timelines and a champion.
        at: Prediction time: a local date, an instant, or None for the end of observation once it
            is past, or today.
        progress: Told the step and the share done.

    Returns:
        Counts, model, time.

    Raises:
        JalonError: no timelines, no champion, or a prediction time out of range.
    """
    from features.timelines import Timelines
    from training.cohort import open_pathways
    from training.registry import load_champion

    started = time.perf_counter()
    tell = progress or (lambda _step, _share: None)
    features = territory.section("features", FeaturesSettings)
    training = territory.section("training", TrainingSettings)
    serving = territory.section("serving", ServingSettings)
    instant = read_prediction_time(at, features)
    tell("champion", 0.02)
    champion = load_champion(territory)
    timelines = Timelines.open(territory.home / "timelines", create=False)
    version = timelines.version
    tell("open pathways", 0.08)
    cohort = open_pathways(timelines, instant, training, features)
    cohort = _who_does_not_object(territory, cohort)
    subjects = cohort["subject_id"].to_numpy()
    database = Database.open(territory, serving)
    try:
        known = database.risks_of(
            prediction_time=instant, model_version=champion.version, data_version=version
        )
        missing = cohort.filter(pa.array(~np.isin(subjects, np.fromiter(known, np.int64))))
        rows, added = [], 0
        if missing.num_rows:
            tell("features", 0.2)
            scored = Scored.of(champion, timelines, missing, version)
            for start in range(0, missing.num_rows, CHUNK):
                tell("reasons", 0.4 + 0.6 * start / missing.num_rows)
                part = scored.rows(
                    range(start, min(start + CHUNK, missing.num_rows)), serving.bands
                )
                added += database.add_scores(part, chunk=CHUNK)
                rows += [(row["subject_id"], row["risk"]) for row in part]
    finally:
        database.close()
    risks = {int(s): known[int(s)] for s in subjects if int(s) in known} | dict(rows)
    counts = Counter(serving.bands.of(risk) for risk in risks.values())
    return ScoringReport(
        people=len(subjects),
        new=added,
        bands={band: counts[band] for band in ("high", "medium", "low")},
        model=f"{champion.model.kind} {champion.version}",
        prediction_time=local_text(instant, features.timezone),
        data_version=version,
        seconds=round(time.perf_counter() - started, 2),
        stored_in=database_url(territory, serving).render_as_string(hide_password=True),
    )


def _who_does_not_object(territory: Territory, cohort: pa.Table) -> pa.Table:
    from features.identity import Vault
    from serving.rights import without_objections

    folder = territory.home / "identity"
    if not (folder / "vault.sqlite").exists():
        return cohort
    vault = Vault.open(folder)
    try:
        return without_objections(vault, cohort)
    finally:
        vault.close()


@dataclass(frozen=True)
class Scored:
    """A cohort scored by a champion: the matrix, the risks, and reasons when asked for.

    Attributes:
        champion: What scored.
        matrix: Features of the cohort, in its order.
        risk: float64 [rows], calibrated, between 0 and 1.
        raw: float64 [rows], before calibration.
        contributions: float64 [rows, features + 1], which sum to `raw`.
        data_version: Of the timelines; -1 when the events came with the request.
    """

    champion: Champion
    matrix: Any
    risk: Any
    raw: Any
    contributions: Any
    data_version: int

    @classmethod
    def of(
        cls,
        champion: Champion,
        events: Timelines | pa.Table,
        cohort: pa.Table,
        data_version: int,
    ) -> Scored:
        """Score the people of a cohort from timelines or from a table of events.

        They are compared with the peers that the model was trained with, never with each other, so
        that a score depends on nobody else who is scored.
        """
        from features.matrix import compute_matrix

        matrix = compute_matrix(events, cohort, champion.catalogue, peers=champion.peers)
        scores = champion.score(matrix)
        return cls(champion, matrix, scores.risk, scores.raw, scores.contributions, data_version)

    def rows(self, which: Sequence[int], bands: Bands) -> list[dict[str, Any]]:
        """Rows of the table `scores`, with reasons in both languages.

        Args:
            which: Positions in the cohort.
            bands: Thresholds in force.
        """
        from training.explanation import explain

        positions = np.asarray(which, np.int64)
        cohort = self.matrix.cohort.take(pa.array(positions))
        subjects = cohort["subject_id"].to_pylist()
        instants = cohort["prediction_time"].to_pylist()
        explanations = explain(
            self.champion,
            self.matrix,
            rows=positions,
            lang=LANGUAGES,
            each_way=EACH_WAY,
            contributions=self.contributions[positions],
        )
        now = utc_now()
        rows = []
        for position, subject, instant, explanation in zip(
            positions, subjects, instants, explanations, strict=True
        ):
            risk = float(self.risk[position])
            key = score_id(subject, instant, self.champion, self.data_version)
            rows.append(
                {
                    "score_id": key,
                    "subject_id": subject,
                    "prediction_time": instant,
                    "risk": risk,
                    "raw": float(self.raw[position]),
                    "band": bands.of(risk),
                    "model_name": self.champion.model.kind,
                    "model_version": self.champion.version,
                    "matrix_hash": self.matrix.hash,
                    "data_version": self.data_version,
                    "catalogue_hash": self.matrix.catalogue.hash,
                    "reasons": _reasons(explanation),
                    "themes": {k: float(v) for k, v in explanation.themes.items()},
                    "created_at": now,
                }
            )
        return rows


def score_cohort(
    champion: Champion,
    events: Timelines | pa.Table,
    cohort: pa.Table,
    *,
    bands: Bands,
    data_version: int,
) -> list[dict[str, Any]]:
    """Rows of the table `scores` for a whole cohort, in its order; nothing is stored.

    The batch, the API's stored scores and the API's timelines all come from here.

    Args:
        champion: The model.
        events: Timelines, or a table of `features.events.EVENTS` with all versions.
        cohort: Columns subject_id and prediction_time.
        bands: Thresholds in force.
        data_version: Of the timelines; -1 when the events came with the request.
    """
    if cohort.num_rows == 0:
        return []
    scored = Scored.of(champion, events, cohort, data_version)
    return scored.rows(range(cohort.num_rows), bands)


def score_id(subject: int, instant: datetime, champion: Champion, data_version: int) -> str:
    """The name of a score: the same person, instant, model and data give the same name.

    It is a hash over the keyed pseudonym, so it tells nothing of the person.
    """
    parts = (subject, instant.isoformat(), champion.model.kind, champion.version, data_version)
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:32]


def _reasons(explanation: Explanation) -> dict[str, Any]:
    return {
        "base": float(explanation.base),
        "raises": [_reason(reason) for reason in explanation.raises],
        "lowers": [_reason(reason) for reason in explanation.lowers],
    }


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "theme": reason.theme,
        "label": dict(reason.theme_label),
        "strength": dict(reason.strength),
        "facts": {lang: list(facts) for lang, facts in reason.sentences.items()},
        "features": list(reason.features),
        "contribution": float(reason.contribution),
    }
