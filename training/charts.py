"""Two pictures of a fold's test rows, as SVG: are risks right, what precision costs in recall."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from training.texts import text

__all__ = [
    "precision_recall_points",
    "precision_recall_svg",
    "reliability_points",
    "reliability_svg",
]

Floats = npt.NDArray[np.float64]
BINS = 10
POINTS = 120
LEGEND: dict[str, Any] = {"title": None, "orient": "bottom", "columns": 1, "labelLimit": 360}


def reliability_points(label: Floats, risk: Floats, bins: int = BINS) -> list[dict[str, float]]:
    """Mean risk, share of ruptures and rows of groups of equal size, by rising risk.

    Example:
        >>> reliability_points(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.3, 0.6, 0.8]), 2)
        [{'risk': 0.2, 'share': 0.0, 'rows': 2}, {'risk': 0.7, 'share': 1.0, 'rows': 2}]
    """
    order = np.argsort(risk, kind="stable")
    return [
        {
            "risk": round(float(risk[part].mean()), 6),
            "share": round(float(label[part].mean()), 6),
            "rows": len(part),
        }
        for part in np.array_split(order, min(bins, len(order)))
    ]


def precision_recall_points(label: Floats, raw: Floats) -> list[dict[str, float]]:
    """Precision at rising recall, at about :data:`POINTS` places, by falling score.

    Example:
        >>> precision_recall_points(np.array([1.0, 0.0]), np.array([0.9, 0.1]))
        [{'recall': 1.0, 'precision': 1.0}, {'recall': 1.0, 'precision': 0.5}]
    """
    order = np.argsort(-raw, kind="stable")
    found = np.cumsum(label[order])
    last = np.append(np.flatnonzero(np.diff(raw[order]) != 0), len(order) - 1)
    at = last[np.unique(np.linspace(0, len(last) - 1, min(POINTS, len(last))).astype(int))]
    return [
        {"recall": round(float(r), 6), "precision": round(float(p), 6)}
        for r, p in zip(found[at] / found[-1], found[at] / (at + 1), strict=True)
    ]


def reliability_svg(points: Mapping[str, list[dict[str, float]]], lang: str) -> str:
    """Predicted against observed shares of ruptures, one line for each model, as SVG."""
    import altair as alt

    rows: list[dict[str, Any]] = [
        {**p, "model": text(f"model.{k}", lang)} for k, ps in points.items() for p in ps
    ]
    top = max(max(row["risk"], row["share"]) for row in rows) * 1.05
    scale = alt.Scale(domain=[0, top])
    axis = {"format": ".0%"}
    ideal = (
        alt.Chart(alt.Data(values=[{"risk": 0, "share": 0}, {"risk": top, "share": top}]))
        .mark_line(color="#888", strokeDash=[4, 4])
        .encode(x="risk:Q", y="share:Q")
    )
    lines = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(point=True)
        .encode(
            x=alt.X("risk:Q", title=text("chart.risk", lang), scale=scale, axis=alt.Axis(**axis)),
            y=alt.Y("share:Q", title=text("chart.share", lang), scale=scale, axis=alt.Axis(**axis)),
            color=alt.Color("model:N", legend=alt.Legend(**LEGEND)),
            shape=alt.Shape("model:N", legend=None),
            strokeDash=alt.StrokeDash("model:N", legend=alt.Legend(**LEGEND)),
        )
    )
    return _svg(alt.layer(ideal, lines).properties(width=360, height=300))


def precision_recall_svg(points: Mapping[str, list[dict[str, float]]], lang: str) -> str:
    """Precision against recall, one line for each model, as SVG."""
    import altair as alt

    rows = [{**p, "model": text(f"model.{k}", lang)} for k, ps in points.items() for p in ps]
    axis = {"format": ".0%"}
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line()
        .encode(
            x=alt.X("recall:Q", title=text("chart.recall", lang), axis=alt.Axis(**axis)),
            y=alt.Y("precision:Q", title=text("chart.precision", lang), axis=alt.Axis(**axis)),
            color=alt.Color("model:N", legend=alt.Legend(**LEGEND)),
            strokeDash=alt.StrokeDash("model:N", legend=alt.Legend(**LEGEND)),
            order="recall:Q",
        )
    )
    return _svg(chart.properties(width=360, height=300))


def _svg(chart: Any) -> str:
    import vl_convert

    return str(vl_convert.vegalite_to_svg(json.dumps(chart.to_dict())))
