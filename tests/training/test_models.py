"""Models: exact contributions, nothing pickled, the same twice."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from features.errors import DataError
from training.models import LightGBMModel, LogisticModel, load_model, make_model
from training.settings import ModelSettings

NAMES = tuple(f"group.measure.{i}" for i in range(6))
SETTINGS = ModelSettings.model_validate(
    {
        "threads": 1,
        "rule": {"feature": NAMES[0]},
        "lightgbm": {"trees": 30, "min_rows_in_leaf": 20, "leaves": 8},
    }
)
KINDS = ("rule", "logistic", "lightgbm")
Floats = npt.NDArray[np.float64]


def data(rows: int = 1500, seed: int = 3) -> tuple[npt.NDArray[np.float32], Floats]:
    random = np.random.default_rng(seed)
    X = random.gamma(2.0, 20.0, (rows, len(NAMES))).astype(np.float32)
    logit = X[:, 0] / 40 - X[:, 1] / 60 + (X[:, 2] > 50) * (X[:, 0] > 50) - 1
    y = (random.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)
    X[random.random(X.shape) < 0.1] = np.nan
    X[:, 4] = 7.0
    X[:, 5] = np.nan
    return X, y


@pytest.mark.parametrize("kind", KINDS)
def test_contributions_sum_to_the_score(kind: str) -> None:
    X, y = data()
    model = make_model(kind, NAMES, SETTINGS).fit(X, y)
    shares = model.contributions(X)
    assert shares.shape == (len(X), len(NAMES) + 1)
    assert shares.dtype == np.float64
    np.testing.assert_allclose(shares.sum(axis=1), model.raw(X), atol=1e-6)
    assert (shares[:, -1] == shares[0, -1]).all()
    assert (shares[:, 4] == shares[0, 4]).all()
    assert (shares[:, 5] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_read_again_scores_the_same(kind: str, tmp_path: Path) -> None:
    X, y = data()
    model = make_model(kind, NAMES, SETTINGS).fit(X, y)
    model.save(tmp_path)
    for file in tmp_path.iterdir():
        file.read_text(encoding="utf-8")
    again = load_model(tmp_path)
    assert again.names == NAMES
    assert again.kind == kind
    np.testing.assert_array_equal(again.raw(X), model.raw(X))
    np.testing.assert_array_equal(again.contributions(X[:9]), model.contributions(X[:9]))
    assert again.parameters() == model.parameters()


@pytest.mark.parametrize("kind", KINDS)
def test_fitted_twice_is_the_same(kind: str) -> None:
    X, y = data()
    one, two = (make_model(kind, NAMES, SETTINGS).fit(X, y).raw(X) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_logistic_numbers_are_the_pipeline_s() -> None:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = data()
    model = LogisticModel(NAMES, settings=SETTINGS.logistic, seed=0).fit(X, y)
    pipeline = make_pipeline(
        SimpleImputer(strategy="mean", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=SETTINGS.logistic.c, solver="lbfgs", max_iter=2000, tol=1e-10),
    ).fit(X.astype(np.float64), y)
    expected = pipeline.decision_function(X.astype(np.float64))
    np.testing.assert_allclose(model.raw(X), expected, atol=0.02)


def test_lightgbm_contributions_are_tree_shap() -> None:
    X, y = data()
    model = LightGBMModel(NAMES, settings=SETTINGS.lightgbm, seed=1, threads=1).fit(X, y)
    shares = model.contributions(X[:200])
    with warnings.catch_warnings():
        # shap announces its own changes, and Matplotlib's, when it is imported and used.
        warnings.simplefilter("ignore")
        import shap

        explainer = shap.TreeExplainer(model.booster)
        values = explainer.shap_values(X[:200])
    np.testing.assert_allclose(shares[:, :-1], values, atol=1e-6)
    np.testing.assert_allclose(shares[:, -1], explainer.expected_value, atol=1e-6)


def test_one_row_scores_as_it_does_among_many() -> None:
    X, y = data()
    for kind in KINDS:
        model = make_model(kind, NAMES, SETTINGS).fit(X, y)
        np.testing.assert_allclose(model.raw(X[:1]), model.raw(X)[:1], rtol=1e-12)


def test_rule_without_a_value_is_an_error() -> None:
    X, y = data()
    X[:, 0] = np.nan
    with pytest.raises(DataError, match="a value in at least one row"):
        make_model("rule", NAMES, SETTINGS).fit(X, y)


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"model\.json is missing"):
        load_model(tmp_path)
