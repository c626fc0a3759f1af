"""The regression is at the minimum that other software and pencil find."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from models.scores.logistic import Logistic


def points(*, rows: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping classes in three unequal features, the third almost the sum of the others."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, rows - classes)])
    x = rng.normal(size=(rows, 3)) + labels[:, None] * np.array([0.8, -0.3, 0.0])
    x[:, 2] = x[:, 0] + x[:, 1] + 0.01 * x[:, 2]
    return x * np.array([1.0, 50.0, 1e-3]) + 7, labels


def reference(x: np.ndarray, labels: np.ndarray, classes: int, penalty: float) -> np.ndarray:
    """Chances of the same rows at SciPy's minimum of the same function."""
    z = np.column_stack([(x - x.mean(0)) / x.std(0), np.ones(len(x))])
    ridge = penalty * np.array([1.0] * x.shape[1] + [0.0])[:, None]

    def loss(flat: np.ndarray) -> float:
        weights = flat.reshape(-1, classes)
        nats = -log_softmax(z @ weights, axis=1)[np.arange(len(z)), labels].sum()
        return float(nats + (ridge * weights**2).sum() / 2)

    start = np.zeros(z.shape[1] * classes)
    options = {"maxiter": 100_000, "maxfun": 10**7, "ftol": 1e-15, "gtol": 1e-9}
    found = minimize(loss, start, method="L-BFGS-B", options=options)
    return softmax(z @ found.x.reshape(-1, classes), axis=1)


@pytest.mark.parametrize(("classes", "penalty"), [(2, 1.0), (4, 1.0), (3, 0.05)])
def test_it_is_the_minimum_that_scipy_finds(classes: int, penalty: float) -> None:
    """A fit that ends too early, or forgets the penalty, would be a weaker baseline."""
    x, labels = points(rows=120, classes=classes)
    fitted = Logistic.fit(x, labels, classes=classes, penalty=penalty).answers(x)
    np.testing.assert_allclose(fitted, reference(x, labels, classes, penalty), atol=2e-4)


def test_the_gradient_is_nothing_at_the_end() -> None:
    """Exact convergence: each class is foretold as often as it occurs, and weights balance."""
    x, labels = points(rows=400, classes=3)
    model = Logistic.fit(x, labels, classes=3)
    missed = model.answers(x) - np.eye(3)[labels]
    z = (x - x.mean(0)) / x.std(0)
    np.testing.assert_allclose(missed.sum(0), 0, atol=1e-5)
    np.testing.assert_allclose(z.T @ missed + model.weights[:-1], 0, atol=1e-5)


def test_without_a_feature_that_differs_chances_are_shares() -> None:
    """An intercept under the penalty would pull rare classes towards the others."""
    labels = np.array([0] * 90 + [1] * 9 + [2])
    model = Logistic.fit(np.full((100, 2), 3.0), labels, classes=3)
    np.testing.assert_allclose(model.answers(np.full((1, 2), 5.0)), [[0.9, 0.09, 0.01]], rtol=1e-6)


def test_units_of_features_do_not_matter() -> None:
    """Microvolts instead of volts would change how much a feature is penalised."""
    x, labels = points(rows=80, classes=2)
    other = x * np.array([1e-6, 1.0, 1e9]) - np.array([5.0, 0.0, 1e3])
    one, two = (Logistic.fit(some, labels, classes=2).answers(some) for some in (x, other))
    np.testing.assert_allclose(one, two, atol=1e-6)


def test_a_class_without_rows_gets_no_chance() -> None:
    """Its intercept would run off to minus infinity."""
    x, labels = points(rows=60, classes=2)
    answers = Logistic.fit(x, labels * 2, classes=4).answers(x)
    assert (answers[:, [1, 3]] == 0).all()
    np.testing.assert_allclose(answers.sum(1), 1)
    alone = Logistic.fit(x, np.full(60, 1), classes=3).answers(x)
    assert (alone == [0, 1, 0]).all()


def test_classes_that_a_line_parts_have_finite_weights() -> None:
    """Without a penalty they would grow for ever."""
    x = np.linspace(-1, 1, 40)[:, None]
    labels = (x[:, 0] > 0).astype(int)
    model = Logistic.fit(x, labels, classes=2)
    assert (model.answers(x).argmax(1) == labels).all()
    assert np.abs(model.weights).max() < 10


def test_more_features_than_rows_converge() -> None:
    """Many channels and few records: the usual case of EEG."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(30, 200)), rng.integers(0, 3, 30)
    model = Logistic.fit(x, labels, classes=3)
    z = (x - model.centre) / model.scale
    gradient = z.T @ (model.answers(x) - np.eye(3)[labels]) + model.weights[:-1]
    assert np.abs(gradient).max() < 1e-5
    again = Logistic.fit(x, labels, classes=3)
    assert (again.weights == model.weights).all()
