"""What a simulated territory knows of itself: how near models come to the best attainable AUC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import DataError
from features.local_days import NEVER
from training.columns import floats, longs, micros, texts_of, valid
from training.evaluation import weighted_auc
from training.settings import TruthSettings

if TYPE_CHECKING:
    from features.territory import Territory

__all__ = ["Attained", "compare_with_truth", "join_truth", "read_truth"]

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
ENDED = ("rupture", "competing", "no_rupture")


@dataclass(frozen=True)
class Attained:
    """How much of what can be known about the future the models reach.

    Attributes:
        attainable_auc: AUC of the true ``p_rupture / (1 - p_competing)`` against our labels.
        models: AUC of each model on the same rows, mean over folds.
        shares: ``(auc - 0.5) / (attainable_auc - 0.5)`` of each model.
        rows: Rows of the truth found among the test rows.
        people_unknown: Rows of the truth whose person has no pseudonym here.
        outcome_agreement: Share of all joined rows whose simulated outcome is ours.
    """

    attainable_auc: float
    models: Mapping[str, float]
    shares: Mapping[str, float]
    rows: int
    people_unknown: int
    outcome_agreement: float

    def as_dict(self) -> dict[str, Any]:
        """Plain content, for JSON."""
        return {
            "attainable_auc": self.attainable_auc,
            "models": dict(self.models),
            "shares": dict(self.shares),
            "rows": self.rows,
            "people_unknown": self.people_unknown,
            "outcome_agreement": self.outcome_agreement,
        }


def read_truth(territory: Territory, settings: TruthSettings) -> pa.Table:
    """The truth's rows by our pseudonyms: subject_id (0 unknown), prediction_time, risk, outcome.

    A person is looked up by each service's own identifier in turn; the first one known decides.

    Raises:
        DataError: the file or a column is missing.
    """
    from features.identity import Vault

    path = territory.home / settings.probabilities
    if not path.is_file():
        raise DataError(
            f"reading the truth: {settings.probabilities}",
            expected="a Parquet file in the work folder",
            got="none",
            hint="Simulate the territory again, or remove training.truth.",
        )
    table = pq.read_table(path)
    wanted = [*settings.person.values(), "prediction_time", "p_rupture", "p_competing", "outcome"]
    missing = [name for name in wanted if name not in table.column_names]
    if missing:
        raise DataError(
            f"reading the truth: columns {', '.join(missing)}",
            expected=f"them in {settings.probabilities}",
            got=f"{table.num_columns} others",
            hint="Correct training.truth.person.",
        )
    subject = np.zeros(table.num_rows, np.int64)
    with closing(Vault.open(territory.home / "identity")) as vault:
        for system, name in settings.person.items():
            names = texts_of(table[name])
            ask = np.flatnonzero((subject == 0) & valid(table[name]))
            if len(ask):
                subject[ask] = vault.resolve(system, [str(one) for one in names[ask]])
    risk = floats(table["p_rupture"]) / np.maximum(1 - floats(table["p_competing"]), 1e-9)
    moments = micros(table["prediction_time"], NEVER)
    return pa.table(
        {
            "subject_id": pa.array(subject),
            "prediction_time": pa.array(moments.view("datetime64[us]")),
            "risk": pa.array(risk),
            "outcome": pa.array(texts_of(table["outcome"]), pa.string()),
        }
    )


def join_truth(truth: pa.Table, cohort: pa.Table) -> tuple[Longs, Longs]:
    """Positions, in the truth and in the cohort, of rows of one person at one prediction time.

    Example:
        >>> rows = pa.table({"subject_id": [3, 5], "prediction_time": pa.array([9, 9]).cast(
        ...     pa.timestamp("us"))})
        >>> [where.tolist() for where in join_truth(rows.slice(1), rows)]
        [[0], [1]]
    """

    def keys(table: pa.Table) -> npt.NDArray[Any]:
        pair = np.empty(table.num_rows, dtype=[("subject", np.int64), ("time", np.int64)])
        pair["subject"] = longs(table["subject_id"])
        pair["time"] = micros(table["prediction_time"], NEVER)
        return pair

    _, ours, theirs = np.intersect1d(keys(truth), keys(cohort), return_indices=True)
    return ours.astype(np.int64), theirs.astype(np.int64)


def compare_with_truth(
    truth: pa.Table,
    cohort: pa.Table,
    tests: Sequence[tuple[Longs, Mapping[str, Floats]]],
) -> Attained:
    """AUC of the true risk and of each model on the rows they share, mean over folds.

    Args:
        truth: What `read_truth` gave.
        cohort: Schema `training.cohort.COHORT`.
        tests: For each fold its test rows (positions in the cohort) and each model's scores.

    Raises:
        DataError: no fold shares rows of both classes with the truth.
    """
    place, row = join_truth(truth, cohort)
    risk_of = np.full(cohort.num_rows, np.nan)
    risk_of[row] = floats(truth["risk"])[place]
    label = floats(cohort["label"])
    best: list[float] = []
    found: dict[str, list[float]] = {}
    rows = 0
    for test, scores in tests:
        shared = ~np.isnan(risk_of[test])
        y = label[test][shared]
        if not 0 < y.sum() < len(y):
            continue
        rows += len(y)
        best.append(weighted_auc(y, risk_of[test][shared]))
        for kind, score in scores.items():
            found.setdefault(kind, []).append(weighted_auc(y, score[shared]))
    if not best:
        raise DataError(
            "comparing with the truth: no test row is in it",
            expected="rows of the same persons and prediction times, of both classes",
            got=f"{len(row)} rows of the cohort in common",
            hint="Check training.truth.person and the prediction times.",
        )
    attainable = float(np.mean(best))
    models = {kind: float(np.mean(values)) for kind, values in found.items()}
    shares = {kind: (auc - 0.5) / (attainable - 0.5) for kind, auc in models.items()}
    ours = texts_of(cohort["outcome"])[row]
    theirs = texts_of(truth["outcome"])[place]
    ended = np.isin(ours.astype(str), ENDED)
    agreement = float((ours[ended] == theirs[ended]).mean()) if ended.any() else float("nan")
    unknown = int((longs(truth["subject_id"]) == 0).sum())
    return Attained(attainable, models, shares, rows, unknown, agreement)
