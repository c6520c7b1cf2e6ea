"""What a matrix on disk is: written last, beside its parts, and what earlier ones left removed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from features.blocks import writing
from features.errors import DataError

__all__ = ["check_parts", "kept", "prune", "read_signed", "write_signed"]

KEPT = 3
"""Matrices whose files stay in a store: the newest ones."""


def write_signed(file: Path, said: Mapping[str, Any], rows: pa.Table) -> None:
    """Say what a matrix is, once all of it is there.

    Args:
        file: What opens it.
        said: With the matrix's `hash` and its `parts`.
        rows: The cohort.
    """
    with writing(_rows_file(file, said)) as stream:
        pq.write_table(rows, stream, compression="zstd")
    with writing(file) as stream:
        stream.write(json.dumps(said, ensure_ascii=False, indent=1).encode())


def read_signed(file: Path, command: str) -> tuple[dict[str, Any], pa.Table]:
    """What `write_signed` wrote.

    Args:
        file: What opens the matrix.
        command: What makes one, for the hint.

    Raises:
        DataError: no such file, or another.
    """
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        rows = pq.read_table(_rows_file(file, said), partitioning=None)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"opening matrix {file}",
            expected=f"a file written by `{command}`",
            got=type(error).__name__,
            hint=f"Run `{command}`.",
        ) from error
    return said, rows


def check_parts(file: Path, gone: int, parts: int, command: str) -> None:
    """Refuse a matrix some parts of which are no longer there.

    Raises:
        DataError: with how many.
    """
    if gone:
        raise DataError(
            f"opening matrix {file}",
            expected=f"{parts} parts",
            got=f"{gone} missing",
            hint=f"Run `{command}`.",
        )


def kept(folder: Path, kind: str) -> list[dict[str, Any]]:
    """What the newest matrices of a store say, the newest last; older ones are unsaid."""
    signed = sorted(folder.glob(f"{kind}-*.json"), key=lambda file: file.stat().st_mtime_ns)
    for old in signed[:-KEPT]:
        old.unlink()
    found = [json.loads(file.read_text(encoding="utf-8")) for file in signed[-KEPT:]]
    names = {one["hash"][:20] for one in found}
    for file in folder.glob("rows-*.parquet"):
        if file.stem.removeprefix("rows-") not in names:
            file.unlink()
    return found


def prune(parts: Path, wanted: Container[str]) -> None:
    """Remove the parts that no matrix wants."""
    for part in parts.iterdir():
        if part.name not in wanted:
            # Moved away first: what is left of a removal cut short is no part.
            gone = part.with_name(f".{part.name.lstrip('.')}")
            part.replace(gone)
            shutil.rmtree(gone)


def _rows_file(file: Path, said: Mapping[str, Any]) -> Path:
    return file.with_name(f"rows-{said['hash'][:20]}.parquet")
