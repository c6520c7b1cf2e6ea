"""The job in featuretools, run by its own Python (it needs pandas 2): Parquet in, Parquet out.

Written the way its guide on time says: cutoff times, a training window for each window,
interesting values for `where`. The entity set is made before the clock starts; the clock stops at
the wide frame.
Usage: python peers_featuretools_run.py FOLDER RUNS WINDOWS; seconds go to FOLDER/seconds.json.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import featuretools as ft  # noqa: E402
import pandas as pd  # noqa: E402


def main(folder: Path, runs: int, windows: list[int]) -> None:
    """Time `runs` runs and write the last result."""
    events = pd.read_parquet(folder / "events.parquet")
    cohort = pd.read_parquet(folder / "cohort.parquet")
    cutoffs = cohort.rename(columns={"prediction_time": "time"})
    codes = sorted(events["code"].unique())
    entities = ft.EntitySet("job")
    people = pd.DataFrame({"subject_id": cohort["subject_id"].unique()})
    entities.add_dataframe(dataframe_name="people", dataframe=people, index="subject_id")
    entities.add_dataframe(
        dataframe_name="events",
        dataframe=events,
        index="number",
        make_index=True,
        time_index="time",
        logical_types={"code": "Categorical", "numeric_value": "Double"},
    )
    entities.add_relationship("people", "subject_id", "events", "subject_id")
    entities.add_last_time_indexes()
    entities.add_interesting_values(dataframe_name="events", values={"code": codes})
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        wide = _features(entities, cutoffs, windows)
        seconds.append(time.perf_counter() - started)
    order = [
        f"{'COUNT(events' if measure == 'count' else 'SUM(events.numeric_value'}"
        f" WHERE code = {code}).{days}"
        for code in codes
        for measure in ("count", "sum")
        for days in windows
    ]
    rows = pd.MultiIndex.from_frame(cutoffs)
    result = wide.reindex(rows)[order].fillna(0).astype("float32")
    result.to_parquet(folder / "result.parquet", index=False)
    (folder / "seconds.json").write_text(json.dumps(seconds))


def _features(entities: ft.EntitySet, cutoffs: pd.DataFrame, windows: list[int]) -> pd.DataFrame:
    wide = []
    for days in windows:
        matrix, _ = ft.dfs(
            entityset=entities,
            target_dataframe_name="people",
            agg_primitives=["count", "sum"],
            where_primitives=["count", "sum"],
            trans_primitives=[],
            cutoff_time=cutoffs,
            cutoff_time_in_index=True,
            include_cutoff_time=False,
            training_window=f"{days} days",
        )
        wide.append(matrix.add_suffix(f".{days}"))
    return pd.concat(wide, axis=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), [int(days) for days in sys.argv[3].split(",")])
