"""What a new key leaves behind: matrices of former pseudonyms go, rows of other files follow."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock

from features.erased_matrices import STORES

__all__ = ["drop_stores", "rename_rows"]


def drop_stores(home: Path) -> int:
    """Delete the stores of features of a work folder: the next build makes them again.

    Args:
        home: The work folder.

    Returns:
        Matrices that went.
    """
    gone = 0
    for folder in (home / store for store in STORES):
        if not folder.is_dir():
            continue
        with FileLock(folder / ".lock"):
            gone += sum(1 for _ in folder.glob("*.json"))
            for one in folder.iterdir():
                if one.name == ".lock":
                    continue
                if one.is_dir():
                    shutil.rmtree(one)
                else:
                    one.unlink()
    return gone


def rename_rows(folder: Path, names: Mapping[int, int]) -> int:
    """Give the rows of every Parquet file with a column `subject_id` their new pseudonyms.

    Done twice, the second time changes nothing, as long as no pseudonym is both former and new.

    Args:
        folder: Searched through; there may be none.
        names: Former pseudonyms to new ones.

    Returns:
        Rows that have another pseudonym.
    """
    former = pa.array(names.keys(), pa.int64())
    new = pa.array(names.values(), pa.int64())
    renamed = 0
    for file in sorted(folder.rglob("*.parquet")):
        schema = pq.read_schema(file)
        if "subject_id" not in schema.names:
            continue
        table = pq.read_table(file, partitioning=None)
        held = table["subject_id"].cast(pa.int64())
        places: Any = pc.index_in(held, value_set=former)
        count = len(places) - places.null_count
        if not count:
            continue
        column = pc.coalesce(new.take(places.combine_chunks()), held.combine_chunks())
        where = table.schema.get_field_index("subject_id")
        field = table.schema.field(where)
        unfinished = file.with_suffix(".unfinished")
        pq.write_table(
            table.set_column(where, field, column.cast(field.type)), unfinished, compression="zstd"
        )
        os.replace(unfinished, file)
        renamed += count
    return renamed
