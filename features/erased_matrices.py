"""Matrices with a row of erased persons: taken out of their store, with the parts it lies in."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock

from features.event_order import Longs, longs

__all__ = ["STORES", "erase_matrices", "erase_rows", "prune_matrices"]

STORES = ("matrices", "sparse")
"""Folders of a work folder that hold matrices: dense ones, and those in compressed sparse rows."""

_LOCK = ".lock"
_PLACE = "_place_on_disk"
_SIGNED = ("matrix-*.json", "sparse-*.json")
_ARRAYS = (".npy", ".indptr.npy", ".indices.npy", ".data.npy")
"""Ends of the files that hold all values of a matrix, once they were asked for."""


def erase_matrices(folder: Path, subjects: Longs) -> int:
    """Delete every matrix with a row of some persons, and every part that holds one.

    Parts of other people stay, so that the next build computes only what went. The values that
    people were compared by go, too. Files that no matrix names (what is left of an interruption)
    are deleted, since nothing tells whose they are.

    Args:
        folder: A store, dense or sparse; there may be none.
        subjects: int64, the persons.

    Returns:
        Matrices deleted.
    """
    if not folder.is_dir():
        return 0
    with FileLock(folder / _LOCK):
        signed = _signed(folder)
        _remove(_unnamed(folder, signed.values()))
        gone = {}
        for file, said in signed.items():
            parts = _parts_with(folder, said, subjects)
            if parts is not None:
                gone[file] = parts
        kept = {said.get("peers") for file, said in signed.items() if file not in gone}
        for file, parts in gone.items():
            said = signed[file]
            name = said["hash"][:20]
            files = [folder / "parts" / part for part in parts]
            files += [folder / f"values-{name}{end}" for end in _ARRAYS]
            peers = said.get("peers")
            if peers and peers not in kept:
                files.append(folder / peers)
            # The rows last but one: they tell, should this be begun again, what is to go.
            _remove([*files, folder / f"rows-{name}.parquet", file])
    return len(gone)


def prune_matrices(folder: Path, *, dry_run: bool = False) -> int:
    """Delete files of a store that no matrix names.

    Args:
        folder: A store, dense or sparse; there may be none.
        dry_run: Only count.

    Returns:
        How many files and folders there were.
    """
    if not folder.is_dir():
        return 0
    with FileLock(folder / _LOCK):
        stale = _unnamed(folder, _signed(folder).values())
        if not dry_run:
            _remove(stale)
    return len(stale)


def erase_rows(folder: Path, subjects: Longs) -> int:
    """Take the rows of some persons out of every Parquet file with a column `subject_id`.

    Args:
        folder: Searched through; there may be none.
        subjects: int64, the persons.

    Returns:
        Rows that went.
    """
    gone = 0
    wanted = pa.array(subjects, pa.int64())
    for file in sorted(folder.rglob("*.parquet")):
        if "subject_id" not in pq.read_schema(file).names:
            continue
        table = pq.read_table(file, partitioning=None)
        mine: Any = pc.is_in(table["subject_id"].cast(pa.int64()), value_set=wanted)
        count = int(pc.sum(mine).as_py() or 0)
        if count:
            unfinished = file.with_suffix(".unfinished")
            pq.write_table(table.filter(pc.invert(mine)), unfinished, compression="zstd")
            os.replace(unfinished, file)
            gone += count
    return gone


def _signed(folder: Path) -> dict[Path, dict[str, Any]]:
    """What each matrix of a store says of itself."""
    files = sorted(file for pattern in _SIGNED for file in folder.glob(pattern))
    return {file: json.loads(file.read_text(encoding="utf-8")) for file in files}


def _parts_with(folder: Path, said: dict[str, Any], subjects: Longs) -> list[str] | None:
    """The parts of a matrix that hold a row of somebody; all, where it cannot be told."""
    rows = folder / f"rows-{said['hash'][:20]}.parquet"
    if not rows.is_file():
        return list(said["parts"])
    table = pq.read_table(rows, partitioning=None)
    mine = np.isin(longs(table["subject_id"]), subjects)
    if not mine.any():
        return None
    places = np.flatnonzero(mine)
    # Rows of a sparse matrix are kept in the order on disk.
    if _PLACE in table.column_names:
        places = longs(table[_PLACE])[mine]
    ends = np.cumsum(said["sizes"])
    return [said["parts"][i] for i in np.unique(np.searchsorted(ends, places, side="right"))]


def _unnamed(folder: Path, signed: Iterable[dict[str, Any]]) -> list[Path]:
    parts: set[str] = set()
    files = {_LOCK, "parts"}
    for said in signed:
        name = said["hash"][:20]
        parts |= set(said["parts"])
        files |= {f"matrix-{name}.json", f"sparse-{name}.json", f"rows-{name}.parquet"}
        files |= {f"values-{name}{end}" for end in _ARRAYS}
        files.add(said.get("peers") or _LOCK)
        if "blocks" in said:
            catalogues = {said["catalogue"][:20], *(one for some in said["blocks"] for one in some)}
            files |= {f"catalogue-{one}.parquet" for one in catalogues}
    found = [one for one in folder.iterdir() if one.name not in files]
    held = folder / "parts"
    if held.is_dir():
        found += [one for one in held.iterdir() if one.name not in parts]
    return sorted(found)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir():
            # Moved away first: what is left of a removal cut short is no part.
            away = path.with_name(f".{path.name.lstrip('.')}")
            path.replace(away)
            shutil.rmtree(away)
        else:
            path.unlink(missing_ok=True)
