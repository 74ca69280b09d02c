"""Telling what a request says about a film from the talk around it.

People who half remember a film write about themselves, too: when they saw it, with whom, that they forgot its name.
Such sentences lie near each other for a sentence encoder, and far from plots; Bhargav et al. ("It's on the tip of my
tongue", 2022) found them to mislead search.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matinee.search.request import EncodeTexts

Floats = NDArray[np.float32]

# In our own words: what people say around the film that they look for.
_TALK = (
    "I saw this movie years ago and cannot remember the title.",
    "Does anyone know what this film is called?",
    "I think it was from the late eighties or early nineties.",
    "It was on television late at night when I was a kid.",
    "Please help me find it.",
    "I only remember a few scenes.",
    "I am not sure about the actors.",
    "Thanks in advance for any help.",
    "It was in colour and in English.",
    "I watched it on DVD with my parents.",
    "I have searched everywhere and asked my friends.",
    "That is all I can remember.",
    "It is not this other film, I already checked.",
    "Sorry for the vague description.",
    "I might be mixing up two films.",
    "It has been bugging me for years.",
    "I want to watch it again.",
    "Edit: added more details.",
    "It was pretty low budget, I believe.",
    "My memory of it is hazy.",
    "It came out around 2005.",
    "Solved, thank you all!",
    "Any ideas would be appreciated.",
    "What movie is this?",
    "I've looked it up with no luck.",
    "I can't recall the name of the actor.",
    "We rented it from a video store.",
    "I remember liking it a lot.",
)
_MIN_PLOTS = 100
_MAX_PLOTS = 3000
_PENALTY = 0.003
_STEEPNESS = 4.0  # of the share over the fitted score, which is 1 for talk and -1 for plots


def fit_talk(encode: EncodeTexts, plots: Floats) -> Floats:
    """(T + 1,) weights and offset of a linear score that is 1 for talk and -1 for sentences of plots (S, T).

    Least squares, both kinds counted alike. All zero, which tells nothing apart, below 100 sentences.
    """
    if len(plots) < _MIN_PLOTS:
        return np.zeros(plots.shape[1] + 1, np.float32)
    chosen = np.random.default_rng(0).permutation(len(plots))[:_MAX_PLOTS]
    talk = encode(_TALK)
    inputs = _with_offset(np.concatenate([talk, plots[chosen]])).astype(np.float64)
    targets = np.concatenate([np.ones(len(talk)), -np.ones(len(chosen))])
    weights = np.concatenate([np.full(len(talk), 0.5 / len(talk)), np.full(len(chosen), 0.5 / len(chosen))])
    weighted = inputs * weights[:, None]
    solved = np.linalg.solve(weighted.T @ inputs + _PENALTY * np.eye(inputs.shape[1]), weighted.T @ targets)
    return np.asarray(solved, dtype=np.float32)


def content_shares(talk: Floats, sentences: Floats) -> NDArray[np.float64]:
    """(S,) how much each sentence (S, T) of a request tells of a film, from 0 (talk) to 1; sums to 1."""
    told = 1 / (1 + np.exp(_STEEPNESS * (_with_offset(sentences) @ talk).astype(np.float64)))
    return np.asarray(told / told.sum(), dtype=np.float64)


def _with_offset(rows: Floats) -> Floats:
    return np.hstack([rows, np.ones((len(rows), 1), np.float32)])
