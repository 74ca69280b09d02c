"""Sentences of a request that only talk weigh little beside those that tell of a film."""

import numpy as np
import pytest
from numpy.typing import NDArray

import matinee
from matinee.encode import TextEncoder
from matinee.search.talk import content_shares, fit_talk

PLOTS = [
    f"{who} {what} {where}."
    for who in ("A young nurse", "An ageing detective", "The last astronaut", "A shy florist", "Two brothers")
    for what in ("hunts a killer", "falls in love", "discovers a secret", "flees from soldiers", "robs a bank")
    for where in ("in a small town", "during the war", "on a distant planet", "by the sea", "in a castle")
]


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    loaded = matinee.Encoder.load("minilm-l6-v2")
    assert isinstance(loaded, TextEncoder)
    return loaded


def test_talk_counts_for_less_than_what_happens_in_the_film(encoder: TextEncoder) -> None:
    talk = fit_talk(encoder.encode, encoder.encode(PLOTS))
    request = [
        "I watched this with my sister ages ago and forgot what it is called.",
        "A priest hides a wounded deserter in the bell tower of his church.",
        "Can somebody help me, please?",
    ]
    shares = content_shares(talk, encoder.encode(request))
    assert shares.sum() == pytest.approx(1)
    assert shares[1] > shares[0] + shares[2]


def test_too_few_plots_tell_nothing_apart(encoder: TextEncoder) -> None:
    few: NDArray[np.float32] = encoder.encode(PLOTS[:10])
    talk = fit_talk(encoder.encode, few)
    assert not talk.any()
    assert content_shares(talk, few[:4]) == pytest.approx(np.full(4, 0.25))
