"""A catalogue of a hundred thousand columns on disk: a small file, read only as far as needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from features.blocks import writing
from features.catalogue import Catalogue, Feature
from features.errors import DataError
from features.measures import MEASURES

__all__ = ["empty_values", "read_catalogue", "read_measures", "read_names", "write_catalogue"]

_DEFAULTS = {one.name: one.default for one in fields(Feature)}


def write_catalogue(catalogue: Catalogue, file: Path) -> None:
    """Write one row for each column, for whoever opens a sparse matrix in another process.

    `Catalogue.to_json` says the same in a hundred times the room: what equals its default is left
    out here, and the rest compressed.

    Example:
        >>> import tempfile
        >>> seen = Feature("seen.count.90d", "seen", "count", 90, "contact",
        ...                {"fr": "Rendez-vous", "en": "Appointments"}, "count", ("C//A//SEEN",))
        >>> file = Path(tempfile.mkdtemp()) / "catalogue.parquet"
        >>> write_catalogue(Catalogue((seen,)), file)
        >>> read_names(file), read_measures(file)
        (('seen.count.90d',), ('count',))
        >>> read_catalogue(file) == Catalogue((seen,))
        True
    """
    table = pa.table(
        {
            "name": pa.array(catalogue.names, pa.string()),
            "measure": pa.array([one.measure for one in catalogue.features], pa.string()),
            "definition": pa.array(_definitions(catalogue), pa.string()),
        }
    )
    head = {
        "hash": catalogue.hash,
        "timezone": catalogue.timezone,
        "service_of": dict(catalogue.service_of),
    }
    with writing(file) as stream:
        pq.write_table(
            table.replace_schema_metadata({"jalon.catalogue": json.dumps(head)}),
            stream,
            compression="zstd",
        )


def _definitions(catalogue: Catalogue) -> Iterator[str]:
    for feature in catalogue.features:
        said = {
            name: getattr(feature, name)
            for name, default in _DEFAULTS.items()
            if getattr(feature, name) != default
        }
        yield json.dumps(said | {"label": dict(feature.label)}, ensure_ascii=False)


def read_names(file: Path) -> tuple[str, ...]:
    """Names of the columns, in order."""
    return tuple(_texts(_read(file, "name")))


def read_measures(file: Path) -> tuple[str, ...]:
    """Measure of each column, in order."""
    return tuple(_texts(_read(file, "measure")))


def empty_values(measures: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """What each column holds for a person without events, by its measure.

    Example:
        >>> empty_values(("count", "mean")).tolist()
        [0.0, nan]
    """
    return np.array([MEASURES[measure].empty for measure in measures], np.float32)


def read_catalogue(file: Path) -> Catalogue:
    """All definitions, checked against their hash.

    Raises:
        DataError: no such file, or definitions of other rules than those of this version.
    """
    table = _read(file, "definition")
    head = (table.schema.metadata or {}).get(b"jalon.catalogue", b"{}").decode()
    features = ",".join(_texts(table))
    return Catalogue.from_json(f'{head[:-1]}, "features": [{features}]}}')


def _texts(table: pa.Table) -> list[str]:
    """The one column, which has no nulls."""
    return [str(text) for text in table.column(0).to_pylist()]


def _read(file: Path, column: str) -> pa.Table:
    try:
        return pq.read_table(file, columns=[column], partitioning=None)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"reading catalogue {file.name}",
            expected="a file beside the sparse matrix",
            got=type(error).__name__,
            hint="Run `jalon features build TERRITORY --sparse`.",
        ) from error
