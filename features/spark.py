"""The same features on a Spark cluster: one person's events meet their cohort rows in one task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from features.catalogue import Catalogue
from features.cohort_rows import read_cohort
from features.engine import Engine
from features.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

    from features.peers import Comparison, Keys, PeerGroups

__all__ = ["BLOCK", "MARK", "PEER_KEY", "blocks", "functions", "spark_matrix", "together"]

BLOCK = 64 << 20
"""Bytes of events, cohort rows and features that a task has in memory at once, unless one person
has more."""

PEER_KEY = "peer_key/"
"""How the columns with the keys of a row's peers begin; the number of the comparison follows."""
_SEEN = "last_seen/"
MARK = "together"
"""Column, int64, whose equal values must meet: a person, or the hash of a key and an instant."""

Batches = Iterator[pa.RecordBatch]


def spark_matrix(
    events: DataFrame,
    cohort: DataFrame,
    catalogue: Catalogue,
    *,
    partitions: int | None = None,
    peers: PeerGroups | None = None,
    last_seen: bool = False,
    peer_keys: bool = False,
) -> DataFrame:
    """The features of each cohort row, equal to `compute_matrix` to the last bit.

    Both frames are partitioned by person, and each partition is computed in blocks of whole people
    by the engine that computes everywhere else; nothing comes to the driver. Executors need the
    `jalon` package.

    The versions of an event are told apart within a person, as timelines hold them: an event that
    moved to another person was withdrawn from the first. Where that does not hold, give a column
    `superseded_at` with when each version was replaced; it is then used.

    Args:
        events: Columns of `features.events.EVENTS` that the catalogue needs, all versions.
        cohort: Columns `subject_id` and `prediction_time` (UTC); others are carried along.
        catalogue: The features wanted.
        partitions: Parts by person; by default as Spark is set (`spark.sql.shuffle.partitions`).
        peers: Groups to compare people with, sent to every executor. By default those of this
            cohort at each prediction time; one task then holds everyone of a group.
        last_seen: Whether to add a column `last_seen/{group}`: int, local calendar day of the
            group's latest event.
        peer_keys: Whether to add a column `peer_key/{n}` for each comparison of people: text, whose
            peer the row is. :func:`features.spark_peers.spark_peers` needs them to keep the groups
            with a model.

    Returns:
        The columns of the cohort, then a float column for each feature, NaN = missing. The order of
        the rows is Spark's.

    Raises:
        ConfigurationError: pyspark is not installed, or keys are asked for with groups given.
        DataError: columns are missing, of both frames at once.
    """
    f = functions()
    engine = Engine(catalogue, last_seen=last_seen)
    replaced = "superseded_at" if "superseded_at" in events.columns else "event_id"
    wanted = tuple(dict.fromkeys([*engine.columns, replaced]))
    _check(events, cohort, wanted, catalogue)
    if peer_keys and peers is not None:
        raise ConfigurationError(
            "computing a matrix with Spark: peer_keys together with peers",
            expected="one of the two: groups given need not be made",
            hint="Leave out peer_keys.",
        )
    person = f.col("subject_id").cast("long").alias(MARK)
    both = events.select(person, f.struct(*wanted).alias("event")).unionByName(
        cohort.select(person, f.struct("*").alias("row")), allowMissingColumns=True
    )
    sent = None if peers is None else _sent(peers)
    compared = _comparisons(catalogue) if peers is None else ()
    schema, names = _schema(cohort, engine, len(compared))
    found = together(both, partitions).mapInArrow(
        _mapping(catalogue.to_json(), last_seen, sent), schema
    )
    place = {name: _column(at) for at, name in enumerate(names)}
    whose = [_column(cohort.columns.index(name)) for name in ("subject_id", "prediction_time")]
    for at, one in enumerate(compared, start=len(names)):
        some, key = _part(catalogue, one), _column(at)
        # Rows without a key have no peers, and may be anywhere.
        apart = f.xxhash64(f.coalesce(f.col(key), f.col(whose[0]).cast("string")), whose[1])
        marked = found.select(apart.alias(MARK), *map(_column, range(len(schema))))
        columns = (*whose, key, *(place[name] for name in some.names))
        found = together(marked, partitions).mapInArrow(_comparing(some.to_json(), columns), schema)
    if peer_keys:
        names = [*names, *(f"{PEER_KEY}{at}" for at in range(len(compared)))]
    return found.select(*map(_column, range(len(names)))).toDF(*names)


def together(frame: DataFrame, partitions: int | None) -> DataFrame:
    """What is equal in the column of marks, in one partition and side by side."""
    size = () if partitions is None else (partitions,)
    return frame.repartition(*size, MARK).sortWithinPartitions(MARK)


def functions() -> Any:
    """Spark's functions on columns.

    Raises:
        ConfigurationError: pyspark is not installed.
    """
    try:
        from pyspark.sql import functions
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "computing a matrix with Spark: pyspark is missing",
            expected="the extra 'spark'",
            hint="Install it: pip install 'jalon[spark]'. Spark also needs Java 17 or newer.",
        ) from error
    return functions


def _check(
    events: DataFrame, cohort: DataFrame, wanted: Sequence[str], catalogue: Catalogue
) -> None:
    faults = [f"events: {name}" for name in wanted if name not in events.columns]
    faults += [f"cohort: {n}" for n in ("subject_id", "prediction_time") if n not in cohort.columns]
    if faults:
        raise DataError(
            f"computing a matrix with Spark: column(s) missing: {', '.join(faults)}",
            expected="events as timelines hold them, and a cohort",
            got=f"{len(events.columns)} and {len(cohort.columns)} columns",
        )
    both = set(cohort.columns) & set(catalogue.names)
    if both:
        raise DataError(
            f"computing a matrix with Spark: {len(both)} column(s) of the cohort are features, too",
            expected="other names",
            got=", ".join(sorted(both)),
            hint="Drop or rename them in the cohort.",
        )


def _column(place: int) -> str:
    """Name of a column on the way: those of features have dots, which Spark reads as structs."""
    return f"c{place}"


def _schema(cohort: DataFrame, engine: Engine, compared: int) -> tuple[StructType, list[str]]:
    """Columns of the cohort, features and days, their names in the end, and keys of peers."""
    from pyspark.sql.types import FloatType, IntegerType, StringType, StructField, StructType

    groups = engine.catalogue.groups if engine.last_seen else ()
    names = [*cohort.columns, *engine.catalogue.names, *(_SEEN + group for group in groups)]
    kinds = [field.dataType for field in cohort.schema.fields]
    kinds += [FloatType()] * len(engine.catalogue) + [IntegerType()] * len(groups)
    kinds += [StringType()] * compared
    fields = [StructField(_column(place), kind) for place, kind in enumerate(kinds)]
    return StructType(fields), names


def _mapping(text: str, last_seen: bool, sent: bytes | None) -> Callable[[Batches], Batches]:
    """What a task does with its people; it travels as text, and compiles where it arrives."""

    def work(batches: Batches) -> Batches:
        engine = _engine(text, last_seen)
        for block in blocks(batches, 4 * (len(engine.catalogue) + engine.groups)):
            yield from _computed(engine, block, sent).to_batches()

    return work


def _comparing(text: str, columns: Sequence[str]) -> Callable[[Batches], Batches]:
    """What a task does with the rows of its keys and prediction times.

    Args:
        text: The catalogue of one comparison.
        columns: Where the person, the instant, the key and that catalogue's features are.
    """

    def work(batches: Batches) -> Batches:
        catalogue = _engine(text, False).catalogue
        for block in blocks(batches, 0):
            yield from _compared(catalogue, block, columns).to_batches()

    return work


@lru_cache(maxsize=4)
def _engine(text: str, last_seen: bool) -> Engine:
    return Engine(Catalogue.from_json(text), last_seen=last_seen)


def blocks(batches: Batches, width: int) -> Iterator[pa.Table]:
    """Successive rows, those with one mark together, of about `BLOCK` bytes with their results.

    Args:
        batches: Sorted by mark, their first column.
        width: Bytes that a cohort row will need.
    """
    held: list[pa.RecordBatch] = []
    size, most = 0, BLOCK
    for batch in batches:
        if not batch.num_rows:
            continue
        held.append(batch)
        size += _size(batch, width)
        if size < most:
            continue
        table = pa.Table.from_batches(held)
        mark = table.column(MARK).to_numpy()
        cut = int(np.searchsorted(mark, mark[-1]))
        if cut:
            yield table.slice(0, cut)
        # One mark may fill many blocks: looking again at every batch would cost the square.
        held = table.slice(cut).to_batches()
        size = sum(_size(rest, width) for rest in held)
        most = max(BLOCK, 2 * size)
    if held:
        yield pa.Table.from_batches(held)


def _size(batch: pa.RecordBatch, width: int) -> int:
    rows = batch.num_rows - batch.column("row").null_count if width else 0
    return batch.nbytes + rows * width


def _computed(engine: Engine, block: pa.Table, sent: bytes | None) -> pa.Table:
    """The rows of some people with their features."""
    events = _unpacked(block, "event")
    cohort = _unpacked(block, "row")
    _, subject, instant = read_cohort(cohort)
    people = np.unique(subject)
    prepared = engine.prepare(events, people)
    rows = engine.rows(subject, instant, people)
    values = np.empty((len(subject), len(engine.catalogue)), np.float32)
    days = np.empty((len(subject), engine.groups), np.int32)
    engine.write(prepared, rows, values, days, threads=1)
    keys: list[Keys] = []
    if engine.layout.peers:
        from features.peers import compare, peer_keys

        keys = peer_keys(prepared, rows, engine.layout, len(subject))
        if sent is not None:
            compare(engine.catalogue, values, keys, instant, subject, _received(sent))
            keys = []
    columns: list[Any] = [*map(_in_utc, cohort.columns), *_columns(values), *_columns(days)]
    columns += [_spelled(key) for key in keys]
    return pa.table(columns, names=[_column(place) for place in range(len(columns))])


def _unpacked(block: pa.Table, name: str) -> pa.Table:
    """The rows that have a struct, as columns."""
    some: Any = block.column(name).drop_null().combine_chunks()
    return pa.Table.from_arrays(some.flatten(), names=[field.name for field in some.type])


def _columns(values: np.ndarray) -> list[pa.Array]:
    return [pa.array(column) for column in np.ascontiguousarray(values.T)]


def _in_utc(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Instants under the name that Spark wants to read: it sends them with the session's zone."""
    kind: Any = column.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return column.cast(pa.timestamp("us", "UTC"))
    return column


def _spelled(keys: Keys) -> pa.Array:
    texts: Any = pa.array([*keys.names, None], pa.string())
    return texts.take(pa.array(keys.number % len(texts)))


def _sent(peers: PeerGroups) -> bytes:
    sink = pa.BufferOutputStream()
    table = peers.to_table()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


@lru_cache(maxsize=2)
def _received(sent: bytes) -> PeerGroups:
    from features.peers import PeerGroups

    return PeerGroups.from_table(pa.ipc.open_stream(sent).read_all())


def _comparisons(catalogue: Catalogue) -> tuple[Comparison, ...]:
    from features.peers import comparisons

    return tuple(comparisons(catalogue))


def _part(catalogue: Catalogue, one: Comparison) -> Catalogue:
    """The columns of one comparison and those it compares."""
    from features.peers import comparisons, narrow

    places = comparisons(catalogue)[one]
    features = [catalogue.features[place] for place in places]
    names = {feature.of for feature in features if feature.of} | {f.name for f in features}
    return narrow(catalogue.only(name for name in catalogue.names if name in names))


def _compared(catalogue: Catalogue, block: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Rows with the columns of one comparison filled in; everyone of a group is among them."""
    from features.peers import Keys, compare

    person, instant, key, *features = (block.column(name) for name in columns)
    values = np.stack([feature.to_numpy() for feature in features], axis=1)
    compare(
        catalogue,
        values,
        [Keys.of(key.to_pylist())],
        np.asarray(instant.cast(pa.timestamp("us")).cast(pa.int64()), np.int64),
        np.asarray(person.cast(pa.int64()), np.int64),
    )
    found: dict[str, Any] = {
        name: _in_utc(block.column(name)) for name in block.column_names if name != MARK
    }
    for feature, name, column in zip(catalogue.features, columns[3:], values.T, strict=True):
        if feature.among_peers:
            found[name] = pa.array(np.ascontiguousarray(column))
    return pa.table(found)
