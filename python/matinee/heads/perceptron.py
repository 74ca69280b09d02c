"""A network of one hidden layer, trained with dropout in NumPy. Imported by `matinee build` only.

It is small enough for two cores to train in seconds, and so it is trained several times: the fits without a fold of the
films are what stacking learns from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.heads.head import sigmoid

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Recipe:
    """How a perceptron is trained."""

    hidden: int = 128
    networks: int = 3  # of different seeds, averaged
    epochs: int = 24
    batch: int = 128
    rate: float = 1e-3  # of Adam, falling to zero along a cosine
    decay: float = 1e-2  # AdamW's, relative to the rate
    drop_input: float = 0.3
    drop_hidden: float = 0.5


@dataclass(frozen=True)
class Perceptron:
    """relu(x first + first_bias) second + second_bias."""

    first: Floats  # (D, H)
    first_bias: Floats  # (H,)
    second: Floats  # (H, L)
    second_bias: Floats  # (L,)

    def __call__(self, rows: Floats) -> Floats:
        """(B, L) logits."""
        return np.asarray(np.maximum(rows @ self.first + self.first_bias, 0) @ self.second + self.second_bias)


def fit_perceptron(rows: Floats, truth: NDArray[np.floating], recipe: Recipe) -> Perceptron:
    """The average of several perceptrons of independent labels: rows (N, D) standardised, truth (N, L) in [0, 1].

    It is one perceptron again, with the hidden units of all. The same input gives the same network.
    """
    nets = [_fit_one(rows, truth, recipe, seed) for seed in range(recipe.networks)]
    return Perceptron(
        np.hstack([net.first for net in nets]),
        np.concatenate([net.first_bias for net in nets]),
        np.vstack([net.second for net in nets]) / np.float32(len(nets)),
        np.mean([net.second_bias for net in nets], axis=0, dtype=np.float32),
    )


def _fit_one(rows: Floats, truth: NDArray[np.floating], recipe: Recipe, seed: int) -> Perceptron:
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019), inverted dropout on inputs and hidden units."""
    rng = np.random.default_rng(seed)
    count, dimension = rows.shape
    num_labels = truth.shape[1]
    wanted = np.asarray(truth, dtype=np.float32)
    share = np.clip(wanted.mean(axis=0), 1e-3, 1 - 1e-3)
    values = [
        (rng.standard_normal((dimension, recipe.hidden)) * np.sqrt(2 / dimension)).astype(np.float32),
        np.zeros(recipe.hidden, np.float32),
        (rng.standard_normal((recipe.hidden, num_labels)) * np.sqrt(1 / recipe.hidden)).astype(np.float32),
        np.log(share / (1 - share)).astype(np.float32),
    ]
    means = [np.zeros_like(value) for value in values]
    squares = [np.zeros_like(value) for value in values]
    steps = recipe.epochs * -(-count // recipe.batch)
    step = 0
    for _ in range(recipe.epochs):
        order = rng.permutation(count)
        for begin in range(0, count, recipe.batch):
            chosen = order[begin : begin + recipe.batch]
            slopes = _slopes(values, rows[chosen], wanted[chosen], recipe, rng)
            step += 1
            rate = recipe.rate * 0.5 * (1 + np.cos(np.pi * step / steps))
            for i, slope in enumerate(slopes):
                means[i] += 0.1 * (slope - means[i])
                squares[i] += 0.001 * (slope * slope - squares[i])
                move = (means[i] / (1 - 0.9**step)) / (np.sqrt(squares[i] / (1 - 0.999**step)) + 1e-8)
                if values[i].ndim == 2:
                    move += recipe.decay * values[i]
                values[i] -= np.float32(rate) * move
    return Perceptron(values[0], values[1], values[2], values[3])


def _slopes(
    values: list[Floats], rows: Floats, wanted: Floats, recipe: Recipe, rng: np.random.Generator
) -> tuple[NDArray[np.floating], ...]:
    """Gradients of the mean log loss of a batch."""
    first, first_bias, second, second_bias = values
    inputs = rows * _kept(rows.shape, recipe.drop_input, rng)
    hidden = np.maximum(inputs @ first + first_bias, 0)
    mask = _kept(hidden.shape, recipe.drop_hidden, rng)
    dropped = hidden * mask
    error = (sigmoid(dropped @ second + second_bias).astype(np.float32) - wanted) / len(rows)
    back = (error @ second.T) * mask * (hidden > 0)
    return inputs.T @ back, back.sum(axis=0), dropped.T @ error, error.sum(axis=0)


def _kept(shape: tuple[int, ...], rate: float, rng: np.random.Generator) -> Floats:
    """0 for what is dropped, and for the rest what keeps the expected sum."""
    return (rng.random(shape, dtype=np.float32) >= rate).astype(np.float32) / np.float32(1 - rate)
