"""What only the simulator knows, written apart from the exports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from simulator.clock import utc_datetimes
from simulator.identities import Identities
from simulator.outcomes import COMPETING, OUTCOMES, RUPTURE, Rows, auc
from simulator.writing import write_parquet

README = """The truth behind the demo territory. Never an input of Jalon: it judges its results.

persons.parquet
    One row a person: its number in the simulation and its own id at each service (null when the
    service never knew the person). For judging linkage.

rupture_probability.parquet
    One row per sampled (person at risk, first of a month at 00:00 Europe/Paris). At risk: the
    pathway is open just before that instant and no onset of R1, R5, R6 or R7 stands without a
    later SEEN.

    *_id             the person's own ids, null when unknown to the service
    prediction_time  UTC, no zone
    p_rupture        share of forward runs from the full state with a rupture first in 90 days
    p_competing      share where a competing exit comes first
    runs             number of runs: the standard error of p is sqrt(p (1 - p) / runs)
    outcome          what happened in the exported history: rupture, competing, no_rupture
    onset_rule       rule of the first onset (R1, R5, R6, R7), null without a rupture

    The runs call the same compiled day as the history and label with the same tracking, so the
    probabilities are exact for the process but for the number of runs. They know the full state,
    latent parts included: the best attainable AUC is an upper bound for any model on the exports.

summary.json
    Measured figures.
    auc_best_attainable: AUC of p_rupture / (1 - p_competing) against realised rupture versus
    no_rupture, over the sampled rows. auc_days_since_seen: AUC of the days since the last SEEN,
    over all rows at risk; on_truth_rows: over the sampled rows. last_year: over the last twelve
    observed months of the sample.
"""


def write(
    folder: Path, identities: Identities, known: dict[str, np.ndarray], rows: Rows,
    p_rupture: np.ndarray, p_competing: np.ndarray, runs: int, figures: dict[str, float],
) -> dict[str, float]:  # fmt: skip
    """Write the truth.

    Args:
        folder: where; made here.
        identities: own ids.
        known: for each service, bool[persons].
        rows: sampled rows.
        p_rupture: float64[rows].
        p_competing: float64[rows].
        runs: forward runs a row.
        figures: what was measured elsewhere, for `summary.json`.

    Returns:
        The figures of the truth alone.
    """
    folder.mkdir(parents=True)
    everybody = np.arange(identities.birth.size)
    columns: dict[str, Any] = {"person": pa.array(everybody.astype(np.int32))}
    columns |= _ids(identities, known, everybody)
    write_parquet(folder / "persons.parquet", pa.table(columns))
    outcome = pa.array(OUTCOMES).take(pa.array(rows.outcome))
    rule = pa.array(
        [f"R{r}" if r else None for r in rows.rule.tolist()], pa.string()
    )  # fmt: skip
    columns = dict(_ids(identities, known, rows.person))
    columns |= {
        "prediction_time": pa.array(utc_datetimes(rows.time)),
        "p_rupture": pa.array(p_rupture),
        "p_competing": pa.array(p_competing),
        "runs": pa.array(np.full(rows.person.size, runs, np.int32)),
        "outcome": outcome,
        "onset_rule": rule,
    }
    write_parquet(folder / "rupture_probability.parquet", pa.table(columns))
    (folder / "README").write_text(README, encoding="utf-8")
    out = judge(rows, p_rupture, p_competing)
    text = json.dumps(figures | out | {"truth_runs": runs}, indent=1)
    (folder / "summary.json").write_text(text + "\n", encoding="utf-8")
    return out


def judge(rows: Rows, p_rupture: np.ndarray, p_competing: np.ndarray) -> dict[str, float]:
    """How far the true probabilities rank what happened, and whether their mean is what
    happened."""
    if rows.person.size == 0:
        return {"truth_rows": 0.0}
    score = p_rupture / np.maximum(1.0 - p_competing, 1e-9)
    broken = rows.outcome == RUPTURE
    plain = rows.outcome != COMPETING
    recent = plain & (rows.month >= np.unique(rows.month)[-12:][0])
    out = {
        "truth_rows": float(rows.person.size),
        "mean_p_rupture": float(p_rupture.mean()),
        "realised_rupture": float(broken.mean()),
        "mean_p_competing": float(p_competing.mean()),
        "realised_competing": float((rows.outcome == COMPETING).mean()),
        "auc_best_attainable": auc(score[plain], broken[plain]),
        "auc_best_attainable_last_year": auc(score[recent], broken[recent]),
        "auc_days_since_seen_on_truth_rows": auc(rows.quiet[plain].astype(float), broken[plain]),
    }
    return {k: round(v, 4) if v == v else -1.0 for k, v in out.items()}


def _ids(
    identities: Identities, known: dict[str, np.ndarray], person: np.ndarray
) -> dict[str, pa.Array]:
    out: dict[str, pa.Array] = {}
    for name, ids in identities.ids.items():
        here = known[name][person]
        out[f"{name}_id"] = ids.take(pa.array(person, mask=~here))
    return out
