"""The peer groups of a matrix made by Spark: made where the rows are, kept for the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.catalogue import Catalogue
from features.errors import DataError
from features.peer_table import SCHEMA, gathered, rows_of
from features.peers import Keys, PeerGroups, comparisons, fewest, least_of, spread
from features.spark import MARK, PEER_KEY, blocks, functions, together

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["read_peers", "spark_peers"]

Batches = Iterator[pa.RecordBatch]


def spark_peers(
    matrix: DataFrame, catalogue: Catalogue, *, partitions: int | None = None
) -> DataFrame:
    """How the values of each peer group are spread: what a model needs to serve the same ranks.

    The groups are made by the executors from the rows of the matrix, and written by them; no row
    comes to the driver. The result is small: one row for each comparison, feature compared, key and
    prediction time, with at most 1,024 values. Keys that never have enough people are left out, as
    everywhere. Write it as Parquet; :func:`read_peers` reads it.

    Args:
        matrix: From `spark_matrix(..., peer_keys=True)`: best read again from where it was
            written, for else Spark computes it twice.
        catalogue: The one that the matrix was made with.
        partitions: Parts by key and prediction time; by default as Spark is set.

    Returns:
        Columns of `features.peer_table.SCHEMA`, prediction times in UTC without zone.

    Raises:
        ConfigurationError: pyspark is not installed, or the catalogue compares nobody rightly.
        DataError: columns are missing.
    """
    f = functions()
    found = comparisons(catalogue)
    _check(matrix, catalogue)
    schema, parts = _schema(), []
    for at, one in enumerate(found):
        least = least_of(catalogue, one)
        key, time = f.col(_quoted(f"{PEER_KEY}{at}")), f.col("prediction_time")
        chosen = matrix.where(key.isNotNull()).select(
            f.xxhash64(key, time).alias(MARK),
            f.col("subject_id").alias("subject_id"),
            time.alias("prediction_time"),
            key.alias("key"),
            *(f.col(_quoted(name)).alias(f"v{place}") for place, name in enumerate(least)),
        )
        work = _spreading(one.text, least)
        rows = together(chosen, partitions).mapInArrow(work, schema)
        parts.append(_settled(rows, fewest(catalogue, one)))
    if not parts:
        return matrix.limit(0).mapInArrow(_nothing, schema)
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.unionByName(part)
    return whole


def read_peers(folder: str | Path, catalogue: Catalogue) -> PeerGroups:
    """The groups that `spark_peers` made, from the Parquet files they were written to.

    They are equal, to the last bit and in their hash, to those of `compute_matrix` over the same
    rows. Save them beside a model (`training.champion.save_folder`), or give them to
    `spark_matrix` and `compute_matrix`.

    Args:
        folder: Where the files lie: a folder, or an address that pyarrow reads.
        catalogue: The one that the matrix was made with.

    Raises:
        DataError: no such files, or not the groups of this catalogue.
    """
    try:
        table = pq.read_table(str(folder), partitioning=None)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            "reading the peer groups of a Spark matrix",
            expected="a folder of Parquet files written from spark_peers",
            got=type(error).__name__,
            hint="Write them: spark_peers(matrix, catalogue).write.parquet(folder).",
        ) from error
    return gathered(table, {one.text: least_of(catalogue, one) for one in comparisons(catalogue)})


def _check(matrix: DataFrame, catalogue: Catalogue) -> None:
    wanted = ["subject_id", "prediction_time"]
    for at, one in enumerate(comparisons(catalogue)):
        wanted += [f"{PEER_KEY}{at}", *least_of(catalogue, one)]
    missing = [name for name in dict.fromkeys(wanted) if name not in matrix.columns]
    if missing:
        raise DataError(
            f"making peer groups with Spark: column(s) missing: {', '.join(missing)}",
            expected="a matrix of spark_matrix with peer_keys=True, and its catalogue",
            got=f"{len(matrix.columns)} columns",
            hint="Compute the matrix again with peer_keys=True.",
        )


def _schema() -> Any:
    from pyspark.sql import types

    kinds = {
        "prediction_time": types.TimestampNTZType(),
        "people": types.IntegerType(),
        "number": types.IntegerType(),
        "mean": types.FloatType(),
        "values": types.ArrayType(types.FloatType()),
    }
    return types.StructType(
        [types.StructField(name, kinds.get(name, types.StringType())) for name in SCHEMA.names]
    )


def _settled(rows: DataFrame, few: int) -> DataFrame:
    """Without the keys that never had enough people; a small group of another key has none."""
    from pyspark.sql import Window

    f = functions()
    most = f.max("people").over(Window.partitionBy("key"))
    kept = rows.withColumn("most", most).where(f.col("most") >= few).drop("most")
    return kept.withColumn("people", f.when(f.col("people") < few, 0).otherwise(f.col("people")))


def _spreading(text: str, least: Mapping[str, int]) -> Callable[[Batches], Batches]:
    """What a task does with the rows of its keys and prediction times."""

    def work(batches: Batches) -> Batches:
        for block in blocks(batches, 0):
            instant = block.column("prediction_time").cast(pa.timestamp("us")).cast(pa.int64())
            values = {
                name: np.asarray(block.column(f"v{place}"), np.float32)
                for place, name in enumerate(least)
            }
            groups = spread(
                Keys.of(block.column("key").to_pylist()),
                np.asarray(instant, np.int64),
                np.asarray(block.column("subject_id").cast(pa.int64()), np.int64),
                values,
                least,
            )
            yield from rows_of(text, groups).combine_chunks().to_batches()

    return work


def _nothing(batches: Batches) -> Batches:
    """Nobody is compared."""
    for _ in batches:
        yield from ()


def _quoted(name: str) -> str:
    """A name with dots, which Spark else reads as a struct."""
    return f"`{name}`"
