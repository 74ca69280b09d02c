"""Logistic regression of all labels at once, on dense or sparse rows. Imported by `matinee build` only.

One run of L-BFGS over the whole (D, L) map: a product with all rows costs the same for twenty labels as for one, and
sparse rows of words stay sparse. scikit-learn fits one label after another.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from matinee.heads.head import sigmoid

Floats = NDArray[np.float32]
Link = Literal["sigmoid", "softmax"]


def fit_logistic(
    rows: Any, truth: NDArray[np.floating], penalty: float, *, link: Link = "sigmoid", iterations: int = 80
) -> tuple[Floats, Floats]:
    """Weights (L, D) and biases (L,) that minimise mean log loss + penalty / 2 * sum of squared weights.

    rows: (N, D) float32, an array or a SciPy CSR matrix; truth: (N, L) in [0, 1]. softmax: each row of `truth` sums
    to 1. Biases are not penalised.
    """
    count, dimension = rows.shape
    num_labels = truth.shape[1]
    wanted = np.asarray(truth, dtype=np.float32)
    transposed = rows.T.tocsr() if hasattr(rows, "tocsr") else rows.T
    share = np.clip(wanted.mean(axis=0), 1e-3, 1 - 1e-3)
    start = np.zeros((dimension + 1, num_labels))
    start[-1] = np.log(share) if link == "softmax" else np.log(share / (1 - share))

    def loss_and_slope(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        both = flat.astype(np.float32).reshape(dimension + 1, num_labels)
        weight, bias = both[:-1], both[-1]
        logits = np.asarray(rows @ weight) + bias
        if link == "softmax":
            top = logits.max(axis=1, keepdims=True)
            log_sum = top + np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
            loss = float((wanted * (log_sum - logits)).sum()) / count
            error = np.exp(logits - log_sum) - wanted
        else:
            loss = float((np.logaddexp(0, logits) - wanted * logits).sum()) / count
            error = sigmoid(logits).astype(np.float32) - wanted
        error /= count
        slope = np.empty((dimension + 1, num_labels))
        slope[:-1] = np.asarray(transposed @ error) + penalty * weight
        slope[-1] = error.sum(axis=0)
        return loss + 0.5 * penalty * float((weight * weight).sum()), slope.ravel()

    found = minimize(
        loss_and_slope, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": iterations, "maxcor": 8}
    )
    both = found.x.reshape(dimension + 1, num_labels).astype(np.float32)
    return np.ascontiguousarray(both[:-1].T), both[-1].copy()
