"""What a training found, for a terminal, a program and a reader: text, JSON, a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.evaluation import METRICS, Evaluation
from training.texts import LANGUAGES, text, texts
from training.truth import Attained

if TYPE_CHECKING:
    from training.comparison import SubsetReport

__all__ = ["BuildReport", "ModelReport", "SparseReport", "TrainingReport", "write_reports"]


_TWO = ("auc", "average_precision")
"""The figures that parts of the features are compared by."""


@dataclass(frozen=True)
class BuildReport:
    """What the cohort and its matrix are.

    Attributes:
        territory: Name.
        data_version: Version of the timelines.
        rows: Rows of the cohort.
        people: People in it.
        features: Columns of the matrix.
        outcomes: Rows by outcome.
        rules: Rows that end in rupture, by the rule of their first onset.
        attrition: Rows and people left after each step, in order.
        cohort_hash: SHA-256 of the cohort.
        matrix_hash: SHA-256 of the matrix.
        matrix_file: Where the matrix lies, relative to the work folder.
        reused: Whether the matrix was there already.
        parts: Parts of the matrix on disk.
        computed: Parts in which something was computed.
        columns: Columns computed, at most, in any part; the others were there.
        seconds: Duration of each step.
    """

    territory: str
    data_version: int
    rows: int
    people: int
    features: int
    outcomes: Mapping[str, int]
    rules: Mapping[str, int]
    attrition: Sequence[Mapping[str, Any]]
    cohort_hash: str
    matrix_hash: str
    matrix_file: str
    reused: bool
    parts: int
    computed: int
    columns: int
    seconds: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain content, for JSON."""
        return {
            **asdict(self),
            "outcomes": dict(self.outcomes),
            "rules": dict(self.rules),
            "attrition": [dict(step) for step in self.attrition],
            "seconds": dict(self.seconds),
        }


@dataclass(frozen=True)
class SparseReport:
    """What the cohort and its sparse matrix are.

    Attributes:
        territory: Name.
        data_version: Version of the timelines.
        rows: Rows of the cohort.
        people: People in it.
        features: Columns of the matrix.
        left_out: Columns of the catalogue that are not in it, for what is not written is not 0.
        values: Values written.
        cohort_hash: SHA-256 of the cohort.
        catalogue_hash: SHA-256 of the definitions of the columns.
        matrix_hash: SHA-256 of what decides every value.
        matrix_file: Where the matrix lies, relative to the work folder.
        reused: Whether the matrix was there already.
        parts: Parts of the matrix on disk.
        computed: Parts in which something was computed.
        seconds: Duration of each step.
    """

    territory: str
    data_version: int
    rows: int
    people: int
    features: int
    left_out: int
    values: int
    cohort_hash: str
    catalogue_hash: str
    matrix_hash: str
    matrix_file: str
    reused: bool
    parts: int
    computed: int
    seconds: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain content, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class ModelReport:
    """One model on every fold: the oldest first."""

    kind: str
    folds: Sequence[Evaluation]
    calibrators: Sequence[str]

    @property
    def mean(self) -> dict[str, float]:
        """Mean of each figure over the folds."""
        return {
            name: sum(fold.figures[name] for fold in self.folds) / len(self.folds)
            for name in METRICS
        }

    def as_dict(self) -> dict[str, Any]:
        """Plain content, for JSON."""
        return {
            "kind": self.kind,
            "mean": self.mean,
            "last": self.folds[-1].as_dict(),
            "folds": [fold.as_dict() for fold in self.folds],
            "calibrators": list(self.calibrators),
        }


@dataclass(frozen=True)
class TrainingReport:
    """Models compared on the same folds, the winner, and how near it comes to what can be known.

    Attributes:
        build: Cohort and matrix.
        folds: Dates and sizes of each fold, and of the final one.
        models: Figures of each model.
        champion: Kind, version, run and calibration of the registered model.
        capacity: Share followed up at each prediction time.
        horizon_days: How far ahead a rupture is looked for.
        truth: Comparison with a simulated territory's own probabilities, when it has them.
        charts: Points of the two charts, by model, on the newest fold.
        seconds: Duration of each step.
        subsets: The learned models with parts of the features, on the same rows and folds.
    """

    build: BuildReport
    folds: Sequence[Mapping[str, Any]]
    models: Sequence[ModelReport]
    champion: Mapping[str, Any]
    capacity: float
    horizon_days: int
    truth: Attained | None
    seconds: Mapping[str, float]
    charts: Mapping[str, Any] = field(default_factory=dict, repr=False)
    subsets: Sequence[SubsetReport] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain content, for JSON."""
        return {
            **self.build.as_dict(),
            "horizon_days": self.horizon_days,
            "capacity": self.capacity,
            "folds": [dict(fold) for fold in self.folds],
            "models": [model.as_dict() for model in self.models],
            "subsets": [subset.as_dict() for subset in self.subsets],
            "truth": None if self.truth is None else self.truth.as_dict(),
            "champion": dict(self.champion),
            "charts": dict(self.charts),
            "seconds": dict(self.seconds),
        }

    def text(self, lang: str = "en") -> str:
        """A table of the models, the folds' dates and the champion, for a terminal."""
        head = ["", *(text(f"metric.{name}.short", lang) for name in METRICS)]
        rows = [
            [text(f"model.{m.kind}", lang), *(f"{m.mean[name]:.4f}" for name in METRICS)]
            for m in self.models
        ]
        if self.truth is not None:
            for row, model in zip(rows, self.models, strict=True):
                row.append(f"{self.truth.models[model.kind]:.4f}")
            head.append(text("metric.truth_auc.short", lang))
            blank = [""] * len(METRICS)
            rows.append([text("truth.best", lang), *blank, f"{self.truth.attainable_auc:.4f}"])
        lines = [
            text("report.mean", lang, folds=len(self.models[0].folds)),
            *_aligned([head, *rows]),
            "",
            *self._beside(lang),
        ]
        for fold in self.folds:
            parts = [
                f"{text(f'part.{part}', lang)} {fold[f'{part}_from']} - {fold[f'{part}_to']}"
                f" ({fold['rows'][part]})"
                for part in ("train", "calibration", "test")
                if f"{part}_from" in fold
            ]
            lines.append(text("report.fold", lang, name=fold["name"]) + ": " + "; ".join(parts))
        lines.append(
            text(
                "report.champion",
                lang,
                model=text(f"model.{self.champion['kind']}", lang),
                version=self.champion["version"],
                calibration=text(f"calibration.{self.champion['calibration']}", lang),
            )
        )
        return "\n".join(lines)

    def _beside(self, lang: str) -> list[str]:
        """The newest fold with all the features and with parts of them, each with its interval."""
        if not self.subsets:
            return []
        rows = [
            ["", text("report.features", lang), *(text(f"metric.{m}.short", lang) for m in _TWO)]
        ]
        for model in self.models:
            parts = [
                (f"{text(f'model.{model.kind}', lang)}, {subset.name}", subset.features, other)
                for subset in self.subsets
                for other in subset.models
                if other.kind == model.kind
            ]
            if parts:
                whole = f"{text(f'model.{model.kind}', lang)}, {text('report.all', lang)}"
                for called, features, one in [(whole, self.build.features, model), *parts]:
                    rows.append([called, str(features), *(_with_ends(one, name) for name in _TWO)])
        return [text("report.subsets", lang), *_aligned(rows), ""]


def _with_ends(model: ModelReport, name: str) -> str:
    """A figure of the newest fold with its interval."""
    newest = model.folds[-1]
    ends = newest.intervals.get(name)
    between = "" if ends is None else f" ({ends[0]:.4f} - {ends[1]:.4f})"
    return f"{newest.figures[name]:.4f}{between}"


def write_reports(report: TrainingReport, folder: Path) -> list[Path]:
    """Write ``training.json`` and ``training.{fr,en}.html`` into a folder, each in one move."""
    folder.mkdir(parents=True, exist_ok=True)
    content = report.as_dict()
    pages = {"training.json": json.dumps(content, ensure_ascii=False, indent=2) + "\n"}
    for lang in LANGUAGES:
        pages[f"training.{lang}.html"] = _page(report, content, lang)
    written = []
    for name, page in pages.items():
        scratch = folder / f".{name}.part"
        scratch.write_text(page, encoding="utf-8")
        written.append(scratch.replace(folder / name))
    return written


def _page(report: TrainingReport, content: Mapping[str, Any], lang: str) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from training.charts import precision_recall_svg, reliability_svg

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    svg = {}
    if report.charts:
        # Drawn here from numbers: no text of a person is in it.
        svg = {
            "reliability": Markup(reliability_svg(report.charts["reliability"], lang)),  # noqa: S704
            "precision_recall": Markup(  # noqa: S704
                precision_recall_svg(report.charts["precision_recall"], lang)
            ),
        }
    return environment.get_template("training.html").render(
        lang=lang, t=texts(lang), report=content, metrics=METRICS, svg=svg
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
