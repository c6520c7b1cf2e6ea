"""The job in featuretools, in an environment of its own: release 1.31 does not run with pandas 3.

`make bench-features` makes `.venv-peers` from `requirements-peers.lock`; tables go there and come
back as Parquet, outside the clock.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.job import WINDOWS

__all__ = ["PYTHON", "run"]

ROOT = Path(__file__).parents[1]
PYTHON = Path(os.environ.get("JALON_PEERS_PYTHON", ROOT / ".venv-peers" / "bin" / "python"))


def run(
    events: pa.Table, cohort: pa.Table, *, runs: int = 1, warm: int = 0
) -> tuple[npt.NDArray[np.float32], float]:
    """featuretools' answer, float32 [rows, codes x 8], and the median of its seconds.

    Args:
        events: All codes must occur; columns come in the order of the codes.
        cohort: Sorted by person and time.
        runs: Timed runs, after `warm` others; one takes minutes at 20,000 people.
        warm: Runs before those.

    Raises:
        FileNotFoundError: the environment is missing.
        subprocess.CalledProcessError: the run failed; its own words went to the terminal.
    """
    if not PYTHON.exists():
        raise FileNotFoundError(f"{PYTHON} is missing. Hint: Run make bench-features")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        needed = ["subject_id", "time", "code", "numeric_value"]
        pq.write_table(events.select(needed), folder / "events.parquet")
        pq.write_table(cohort, folder / "cohort.parquet")
        script = Path(__file__).with_name("peers_featuretools_run.py")
        windows = ",".join(map(str, WINDOWS))
        subprocess.run(
            [PYTHON, script, folder, str(runs + warm), windows],
            check=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
        seconds = json.loads((folder / "seconds.json").read_text())[warm:]
        table = pq.read_table(folder / "result.parquet")
    return np.column_stack([c.to_numpy() for c in table.columns]), statistics.median(seconds)
