"""Reasons: they add up, tell recorded facts in both languages, and never claim a cause."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from features.matrix import Matrix
from training.explanation import MODERATE, STRONG, explain, frame, theme_shares
from training.registry import load_champion

Trained = tuple[Any, Any]


@pytest.fixture(scope="module")
def explained(trained: Trained) -> tuple[Any, Matrix, list[Any]]:
    territory, report = trained
    champion = load_champion(territory)
    matrix = Matrix.load(territory.home / report.build.matrix_file)
    rows = np.arange(0, len(matrix.values), 40)
    return champion, matrix, explain(champion, matrix, rows)


def test_themes_and_base_sum_to_the_score(explained: tuple[Any, Matrix, list[Any]]) -> None:
    champion, matrix, found = explained
    raw = champion.model.raw(matrix.values[::40])
    sums = [e.base + sum(e.themes.values()) for e in found]
    np.testing.assert_allclose(sums, raw, atol=1e-6)
    themes = {feature.theme for feature in champion.catalogue.features}
    assert all(set(e.themes) == themes for e in found)


def test_reasons_go_the_way_they_say(explained: tuple[Any, Matrix, list[Any]]) -> None:
    champion, matrix, found = explained
    contributions = champion.model.contributions(matrix.values[::40])
    themes = np.array([feature.theme for feature in champion.catalogue.features])
    for e, row in zip(found, contributions, strict=True):
        for reasons, sign in ((e.raises, 1), (e.lowers, -1)):
            sizes = [r.contribution * sign for r in reasons]
            assert all(size > 0 for size in sizes)
            assert sizes == sorted(sizes, reverse=True)
            assert len(reasons) <= 5
            pushing = len(set(themes[row[:-1] * sign > 0]))
            assert len(reasons) >= min(3, pushing)
            for reason in reasons:
                told = [r for r in row[:-1][themes == reason.theme] if r * sign > 0]
                net = e.themes[reason.theme]
                expected = net if net * sign > 0 else sum(told)
                assert reason.contribution == pytest.approx(expected)
    assert any(e.raises for e in found)
    assert any(e.lowers for e in found)


def test_strength_words(explained: tuple[Any, Matrix, list[Any]]) -> None:
    _, _, found = explained
    words = {"fort": "strong", "modéré": "moderate", "léger": "slight"}
    seen = set()
    for e in found:
        for reason in (*e.raises, *e.lowers):
            size = abs(reason.contribution)
            word = "fort" if size >= STRONG else "modéré" if size >= MODERATE else "léger"
            assert reason.strength == {"fr": word, "en": words[word]}
            seen.add(word)
    assert len(seen) >= 2


def test_sentences_are_those_of_the_facts(explained: tuple[Any, Matrix, list[Any]]) -> None:
    from features.facts import sentence

    champion, matrix, found = explained
    columns = {name: i for i, name in enumerate(champion.catalogue.names)}
    groups = {name: i for i, name in enumerate(champion.catalogue.groups)}
    never = np.iinfo(np.int32).min
    missing = 0
    for e, row in zip(found, range(0, len(matrix.values), 40), strict=True):
        for reason in (*e.raises, *e.lowers):
            assert 1 <= len(reason.features) <= 2
            for lang in ("fr", "en"):
                for name, said in zip(reason.features, reason.sentences[lang], strict=True):
                    feature = champion.catalogue.feature(name)
                    assert feature.theme == reason.theme
                    value = float(matrix.values[row, columns[name]])
                    day = int(matrix.last_seen[row, groups[feature.group]])
                    assert said == sentence(feature, value, None if day == never else day, lang)
                    missing += np.isnan(value)
    assert missing > 0


def test_as_dict_is_json(explained: tuple[Any, Matrix, list[Any]]) -> None:
    import json

    _, _, found = explained
    told = json.loads(json.dumps(found[0].as_dict(), ensure_ascii=False))
    assert set(told) == {"base", "themes", "raises", "lowers"}


def test_contributions_given_are_used(explained: tuple[Any, Matrix, list[Any]]) -> None:
    champion, matrix, found = explained
    shares = champion.score(matrix).contributions[::40]
    again = explain(champion, matrix, np.arange(0, len(matrix.values), 40), contributions=shares)
    assert again == found


def test_one_language_and_one_reason(explained: tuple[Any, Matrix, list[Any]]) -> None:
    champion, matrix, _ = explained
    for e in explain(champion, matrix, [0, 1, 2], lang=("en",), each_way=(1, 1)):
        assert len(e.raises) <= 1
        assert all(set(r.sentences) == {"en"} for r in (*e.raises, *e.lowers))


def test_frames() -> None:
    assert set(frame("en")) == {"raises", "lowers", "note"}
    assert "cause" in frame("fr")["note"]


def test_theme_shares_keep_the_sum() -> None:
    shares = np.random.default_rng(1).normal(size=(50, 7))
    names, by_theme = theme_shares(shares, ["b", "a", "b", "c", "a", "b"])
    assert names == ["a", "b", "c"]
    np.testing.assert_allclose(by_theme.sum(axis=1), shares[:, :-1].sum(axis=1))
