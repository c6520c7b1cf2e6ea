"""Persons without a shared key: how alike their records are, by a model that Splink estimates."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from features.errors import ConfigurationError
from features.identity.records import ATTRIBUTES

if TYPE_CHECKING:
    from features.settings import LinkageSettings

__all__ = ["MODEL", "compare"]

MODEL = "linkage.json"
"""The estimated model, beside the vault: shares of agreement, nothing of a person."""

ENOUGH = 200
"""Pairs that exact rules found, from which on the model learns from them alone."""

_USEFUL = 0.01
"""Share of records that must have an attribute for it to be compared."""

_LEAST = 1e-4
"""A share of agreement never seen among a person's own records is taken to be this."""

_SAMPLE = 1_200_000
"""Pairs of records drawn to learn how often strangers agree."""


def compare(
    people: pa.Table, settings: LinkageSettings, model: Path
) -> tuple[list[tuple[int, int, float]], bool]:
    """Pairs of records that may be one person's, with the probability that they are.

    Fellegi and Sunter's model: given whether two records are one person's, attributes are taken to
    agree independently of each other. Where they do not (relatives share a name and a telephone),
    probabilities are too high. How often a person's own records agree is learnt from the pairs
    that exact rules found; without enough of those by expectation maximisation. How often
    strangers' do, from a sample drawn with a seed. With too few pairs for either, a person's
    records are taken to agree in 95 of 100, and nothing is kept. The estimated model is kept, so
    that the same records give the same pairs; it is estimated anew when the attributes or the seed
    change, or when the file is removed.

    Args:
        people: `unique_id` int64, `subject` int64, and the attributes, text made comparable.
        settings: Thresholds, blocks and seed.
        model: Where the estimated model lies, or is to.

    Returns:
        (record, record, probability) of different subjects, from `review_above` on, the likeliest
        first; and whether the model was estimated anew.

    Raises:
        ConfigurationError: Splink is not installed, or no attribute is usable.

    Source:
        Fellegi, Sunter (1969), A theory for record linkage. Splink 5.
    """
    try:
        import splink  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(
            "linking persons without a shared key",
            expected="the extra 'linkage' (Splink)",
            got="an installation without it",
            hint="pip install 'jalon[linkage]', or remove features.identity.linkage.",
        ) from error
    names = _usable(people)
    blocks = [block for block in settings.block_on if set(block) <= set(names)]
    if not blocks:
        raise ConfigurationError(
            "linking persons without a shared key: features.identity.linkage.block_on",
            expected="a block of attributes that records have",
            got=f"{len(names)} usable attribute(s)",
            hint="Map attributes in the persons tables, or name others in block_on.",
        )
    people = people.select(["unique_id", "subject", *names])
    logging.getLogger("splink").setLevel(logging.ERROR)
    mark = _mark(names, settings)
    estimated = _read(model, mark)
    fresh = estimated is None
    if estimated is None:
        estimated, learnt = _estimate(people, names, settings)
        if learnt:
            _keep(model, mark, estimated)
    return _score(people, estimated, blocks, settings), fresh


def _usable(people: pa.Table) -> list[str]:
    size = max(people.num_rows, 1)
    return [
        name for name in ATTRIBUTES if (people.num_rows - people[name].null_count) / size >= _USEFUL
    ]


def _mark(names: Sequence[str], settings: LinkageSettings) -> str:
    return hashlib.sha256(repr((names, settings.seed, 1)).encode()).hexdigest()


def _read(model: Path, mark: str) -> dict[str, Any] | None:
    if not model.exists():
        return None
    kept: dict[str, Any] = json.loads(model.read_text(encoding="utf-8"))
    return kept["model"] if kept["for"] == mark else None


def _keep(model: Path, mark: str, estimated: dict[str, Any]) -> None:
    unfinished = model.with_suffix(".unfinished")
    text = json.dumps({"for": mark, "model": estimated}, indent=1)
    handle = os.open(unfinished, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text + "\n")
    os.replace(unfinished, model)


def _comparisons(names: Sequence[str]) -> list[Any]:
    import splink.comparison_level_library as cll
    import splink.comparison_library as cl

    def name(column: str, other: str) -> Any:
        exact = cll.ExactMatchLevel(column, term_frequency_adjustments=True)
        levels: list[Any] = [cll.NullLevel(column), exact]
        if other in names:
            levels.append(
                cll.CustomLevel(f"{column}_l = {other}_r and {other}_l = {column}_r", "swapped")
            )
        levels += [
            cll.DamerauLevenshteinLevel(column, 1),
            cll.JaroWinklerLevel(column, 0.88),
            cll.ElseLevel(),
        ]
        return cl.CustomComparison(levels, output_column_name=column)

    def typed(column: str, distances: Sequence[int]) -> Any:
        levels: list[Any] = [cll.NullLevel(column), cll.ExactMatchLevel(column)]
        levels += [cll.DamerauLevenshteinLevel(column, distance) for distance in distances]
        return cl.CustomComparison([*levels, cll.ElseLevel()], output_column_name=column)

    made = {
        "first_name": lambda: name("first_name", "last_name"),
        "last_name": lambda: name("last_name", "first_name"),
        "birth_date": lambda: typed("birth_date", (1, 2)),
        "place": lambda: cl.ExactMatch("place").configure(term_frequency_adjustments=True),
        "phone": lambda: typed("phone", (1,)),
        "email": lambda: typed("email", (2,)),
    }
    return [made[one]() for one in names]


def _estimate(
    people: pa.Table, names: Sequence[str], settings: LinkageSettings
) -> tuple[dict[str, Any], bool]:
    """The model, and whether enough was there to learn how often a person's records agree."""
    from splink import SettingsCreator, block_on

    creator = SettingsCreator(
        link_type="dedupe_only",
        comparisons=_comparisons(names),
        blocking_rules_to_generate_predictions=[],
        retain_matching_columns=False,
        linker_uid="jalon",
    )
    linker = _linker(people, creator)
    linker.training.estimate_u_using_random_sampling(max_pairs=_SAMPLE, seed=settings.seed)
    if _known_pairs(people) >= ENOUGH:
        linker.training.estimate_m_from_label_column("subject")
        learnt = True
    else:
        found = [block for block in _training_blocks(names) if _pairs(people, block) >= ENOUGH]
        for block in found:
            linker.training.estimate_parameters_using_expectation_maximisation(block_on(*block))
        learnt = bool(found)
    estimated: dict[str, Any] = linker.misc.save_model_to_json()
    for comparison in estimated["comparisons"]:
        _fill(comparison["comparison_levels"], people.num_rows)
    return estimated, learnt


def _training_blocks(names: Sequence[str]) -> list[list[str]]:
    """Two ways to bring likely pairs together, so that each attribute is free in one of them."""
    named = [name for name in ("first_name", "last_name") if name in names]
    others = [[name] for name in ("birth_date", "phone", "email") if name in names]
    return [*([named] if named else []), *others[:2]] or [[names[0]]]


def _fill(levels: list[dict[str, Any]], records: int) -> None:
    """Give every level its two shares: one never met is rare, not impossible.

    Among strangers it is at least as frequent as one pair in all that were drawn: of few records
    little can be told, and then little is merged.
    """
    rarest = 1 / max(min(_SAMPLE, records * (records - 1) / 2), 1)
    told = [level for level in levels if not level.get("is_null_level")]
    for share in ("m_probability", "u_probability"):
        values = np.array([_number(level.get(share)) for level in told])
        values = np.maximum(values, _LEAST if share == "m_probability" else rarest)
        for level, value in zip(told, (values / values.sum()).tolist(), strict=True):
            level[share] = value


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _pairs(people: pa.Table, names: Sequence[str]) -> float:
    """How many pairs of records agree in all of some attributes."""
    import duckdb

    if not names:
        return 0.0
    with duckdb.connect() as connection:
        connection.register("people", people)
        query = (
            "SELECT coalesce(sum(n * (n - 1) / 2), 0) FROM (SELECT count(*) AS n FROM people "  # noqa: S608
            f"WHERE {' AND '.join(f'{name} IS NOT NULL' for name in names)} "
            f"GROUP BY {', '.join(names)})"
        )
        return float(connection.sql(query).fetchall()[0][0])


def _known_pairs(people: pa.Table) -> int:
    _, counts = np.unique(people["subject"].to_numpy(), return_counts=True)
    return int((counts * (counts - 1) // 2).sum())


def _linker(people: pa.Table, creator: Any) -> Any:
    import duckdb
    from splink import DuckDBAPI, Linker

    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = true")
    api = DuckDBAPI(connection)
    return Linker(api.register(people, dataset_display_name="people"), creator, log_level=None)


def _score(
    people: pa.Table,
    estimated: dict[str, Any],
    blocks: Sequence[Sequence[str]],
    settings: LinkageSettings,
) -> list[tuple[int, int, float]]:
    rules = [
        " and ".join([*(f"l.{name} = r.{name}" for name in block), "l.subject <> r.subject"])
        for block in blocks
    ]
    creator = estimated | {
        "blocking_rules_to_generate_predictions": [{"blocking_rule": rule} for rule in rules],
        "probability_two_random_records_match": _prior(people),
        "retain_matching_columns": False,
    }
    linker = _linker(people, creator)
    scored = linker.inference.predict(
        threshold_match_probability=settings.review_above, warning_mode="never"
    )
    found = scored.as_pyarrow_table()
    one, other = found["unique_id_l"].to_numpy(), found["unique_id_r"].to_numpy()
    first, second = np.minimum(one, other), np.maximum(one, other)
    chance = np.round(found["match_probability"].to_numpy(), 9)
    order = np.lexsort((second, first, -chance))
    return [(int(first[i]), int(second[i]), float(chance[i])) for i in order]


def _prior(people: pa.Table) -> float:
    """How likely two records are one person's before they are compared.

    Records that agree in names and birth date, or are known to be one person's, are counted, and
    taken to be four in five of all pairs that are.
    """
    names = set(people.column_names)
    keys = [name for name in ("first_name", "last_name", "birth_date") if name in names]
    size = max(people.num_rows, 2)
    pairs = max(_pairs(people, keys), float(_known_pairs(people)), 1.0) / 0.8
    return min(pairs / (size * (size - 1) / 2), 0.5)
