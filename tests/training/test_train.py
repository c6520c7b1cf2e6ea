"""One command from timelines to champion: the same twice, alone, and readable."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from features.errors import ConfigurationError, DataError, JalonError
from features.territory import Territory
from training.evaluation import METRICS
from training.registry import load_champion, open_registry
from training.train import build, train

Trained = tuple[Any, Any]


def test_again_gives_the_same_figures(make_territory: Callable[..., Any], trained: Trained) -> None:
    _, report = trained
    again = make_territory()
    told: list[tuple[str, float]] = []
    first = build(again, progress=lambda step, share: told.append((step, share)))
    assert not first.reused
    assert first.matrix_hash == report.build.matrix_hash
    second = train(again)
    assert second.build.reused
    assert [m.as_dict() for m in second.models] == [m.as_dict() for m in report.models]
    third = train(again)
    assert [m.as_dict() for m in third.models] == [m.as_dict() for m in report.models]
    assert second.champion == third.champion
    assert load_champion(again).version == second.champion["version"] == "1"
    registry = open_registry(again)
    assert registry.champion_of("another training") is None
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert told[0][0] == "cohort"


def test_the_best_model_wins(trained: Trained) -> None:
    _, report = trained
    ranked = sorted(report.models, key=lambda m: -m.mean["average_precision"])
    assert report.champion["kind"] == ranked[0].kind
    means = {m.kind: m.mean for m in report.models}
    assert means["lightgbm"]["auc"] > means["rule"]["auc"]
    assert means["logistic"]["auc"] > means["rule"]["auc"]


def test_report_files(trained: Trained) -> None:
    territory, report = trained
    folder = territory.home / "reports"
    told = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert told["models"] == json.loads(json.dumps([m.as_dict() for m in report.models]))
    assert told["champion"]["version"] == "1"
    assert [fold["name"] for fold in told["folds"]] == ["1", "2", "final"]
    pages = {}
    for lang in ("fr", "en"):
        page = (folder / f"training.{lang}.html").read_text(encoding="utf-8")
        pages[lang] = page
        parser = Tags()
        parser.feed(page)
        assert parser.lang == lang
        assert parser.open == []
        assert parser.seen >= {"svg", "table", "caption", "figcaption"}
        assert "http://" not in page.replace("http://www.w3.org/", "")
        for model in report.models:
            assert f"{model.mean['auc']:.4f}" in page
    assert "Score de Brier" in pages["fr"]
    assert "Brier score" in pages["en"]


class Tags(HTMLParser):
    """Tags of a page, those left open, and its language."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.lang = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag == "html":
            self.lang = dict(attrs)["lang"] or ""
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_text_for_a_terminal(trained: Trained, lang: str) -> None:
    _, report = trained
    text = report.text(lang)
    for model in report.models:
        for name in METRICS:
            assert f"{model.mean[name]:.4f}" in text
    assert text.count("2025-") >= 6
    assert "[" not in text


def test_one_training_at_a_time(make_territory: Callable[..., Any]) -> None:
    territory = make_territory(people=20, months=6)
    with (
        FileLock(territory.home / "training.lock"),
        pytest.raises(JalonError, match="another training or build of features is under way"),
    ):
        train(territory)


def test_too_little_history_names_every_part(make_territory: Callable[..., Any]) -> None:
    with pytest.raises(DataError, match=r"fold 1 .*fold 2 "):
        train(make_territory(people=30, months=8))


def test_a_wrong_rule_is_found_before_any_work(make_territory: Callable[..., Any]) -> None:
    territory = make_territory(people=20, months=6)
    text = territory.file.read_text(encoding="utf-8")
    wrong = text.replace(
        "    threads: 1", "    threads: 1\n    rule: {feature: contact.seen.count.80d}"
    )
    territory.file.write_text(wrong, encoding="utf-8")
    opened = Territory.open(territory.file, home=territory.home)
    with pytest.raises(ConfigurationError, match=r"Did you mean 'contact\.seen\.count\.\d0d'"):
        build(opened)


def test_without_timelines_the_next_step_is_named(
    make_territory: Callable[..., Any], tmp_path: Path
) -> None:
    territory = make_territory(people=20, months=6)
    empty = Territory.open(territory.file, home=tmp_path)
    with pytest.raises(JalonError, match="jalon ingest"):
        build(empty)


def test_half_filled_timelines_are_not_read(make_territory: Callable[..., Any]) -> None:
    territory = make_territory(people=20, months=6)
    lock = FileLock(territory.home / "ingest.lock")
    with lock, pytest.raises(JalonError, match="an ingest is under way"):
        build(territory)
