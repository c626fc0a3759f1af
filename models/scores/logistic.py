"""Multinomial logistic regression with a ridge, by Newton's method in NumPy.

Use it on a few hundred numbers of each row at most; the answer is that of the minimum, not of some
number of epochs. Not for tokens of a large vocabulary: naive Bayes needs no fit there.

Source: Lin, Weng & Keerthi 2008, https://www.jmlr.org/papers/v9/lin08b.html (truncated Newton)
Legend: R rows, P features, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.integer]

PENALTY = 1.0
"""Weight of half the squared weights beside the summed nats of the rows."""
_MOST_UPDATES, _MOST_PRODUCTS = 100, 500
_TOLERANCE = 1e-9
"""Largest entry of the gradient, for each row, at which a fit ends."""


@dataclass(frozen=True, slots=True)
class Logistic:
    """A fitted regression on standardised features; intercepts carry no penalty.

    Args:
        centre: `(P,)` means of the features. scale: `(P,)` their deviations, 1 where there is none.
        weights: `(P + 1, K)` of the classes that have rows, intercepts last. present: `(K,)` codes
            of these. classes: C.
    """

    centre: Floats
    scale: Floats
    weights: Floats
    present: Codes
    classes: int

    @classmethod
    def fit(
        cls, features: Floats, labels: Codes, *, classes: int, penalty: float = PENALTY
    ) -> Self:
        """The weights of least penalised negative log-likelihood.

        Args:
            features: `(R, P)`, R > 0.
            labels: `(R,)` codes below `classes`.
            classes: C; those without a row get no chance.
            penalty: of the squared weights, halved.

        >>> model = Logistic.fit(np.array([[0.0], [0], [1]]), np.array([0, 0, 1]), classes=3)
        >>> model.answers(np.array([[0.0], [1.0]])).argmax(1).tolist()
        [0, 1]
        """
        centre, scale = features.mean(0), features.std(0)
        scale = np.where(scale > 1e-12 * (1 + np.abs(centre)), scale, 1.0)
        present, codes = np.unique(labels, return_inverse=True)
        x_RP = _with_ones((features - centre) / scale)
        weights = _minimise(x_RP, np.eye(len(present))[codes], penalty)
        return cls(centre, scale, weights, present, classes)

    def answers(self, features: Floats) -> Floats:
        """Chances `(R, C)` of rows with these features `(R, P)`."""
        chances = np.zeros((len(features), self.classes))
        x_RP = _with_ones((features - self.centre) / self.scale)
        chances[:, self.present] = _softmax(x_RP @ self.weights)[0]
        return chances


def _minimise(x_RP: Floats, truth_RC: Floats, penalty: float) -> Floats:
    """Weights `(P, C)` at the minimum: Newton's steps, halved until the loss falls."""
    ridge = np.full((x_RP.shape[1], 1), penalty)
    ridge[-1] = 0
    weights = np.zeros((x_RP.shape[1], truth_RC.shape[1]))
    loss, chances = _loss(x_RP, truth_RC, weights, ridge)
    for _ in range(_MOST_UPDATES):
        gradient = x_RP.T @ (chances - truth_RC) + ridge * weights
        if np.abs(gradient).max() <= _TOLERANCE * len(x_RP):
            break
        step = _newton_step(x_RP, chances, gradient, ridge)
        slope, size = float((gradient * step).sum()), 1.0
        while size > 1e-10:
            new_loss, new_chances = _loss(x_RP, truth_RC, weights + size * step, ridge)
            if new_loss <= loss + 1e-4 * size * slope:
                break
            size /= 2
        else:  # no step that float64 can tell from none
            break
        weights, loss, chances = weights + size * step, new_loss, new_chances
    return weights


def _newton_step(x_RP: Floats, chances: Floats, gradient: Floats, ridge: Floats) -> Floats:
    """Minus the inverse Hessian times the gradient, by conjugate gradients; no Hessian is held.

    Intercepts of all classes together change nothing: the gradient has no part there, and neither
    have the directions that come of it.
    """
    step = np.zeros_like(gradient)
    residual = -gradient
    direction, square = residual, float((residual**2).sum())
    enough = square * min(0.1, np.sqrt(np.sqrt(square) / len(x_RP))) ** 2
    for _ in range(_MOST_PRODUCTS):
        moved = x_RP @ direction
        moved = chances * (moved - (chances * moved).sum(1, keepdims=True))
        product = x_RP.T @ moved + ridge * direction
        curvature = float((direction * product).sum())
        if curvature <= 0:
            break
        size = square / curvature
        step = step + size * direction
        residual = residual - size * product
        before, square = square, float((residual**2).sum())
        if square <= enough:
            break
        direction = residual + square / before * direction
    return step


def _loss(x_RP: Floats, truth_RC: Floats, weights: Floats, ridge: Floats) -> tuple[float, Floats]:
    """Penalised nats of all rows, and the chances `(R, C)`."""
    chances, log_chances = _softmax(x_RP @ weights)
    nats = -float((truth_RC * log_chances).sum())
    return nats + float((ridge * weights**2).sum()) / 2, chances


def _softmax(logits: Floats) -> tuple[Floats, Floats]:
    """Chances and their logarithms."""
    shifted = logits - logits.max(1, keepdims=True)
    log_chances: Floats = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return np.exp(log_chances), log_chances


def _with_ones(features: Floats) -> Floats:
    return np.hstack([features, np.ones((len(features), 1))])
