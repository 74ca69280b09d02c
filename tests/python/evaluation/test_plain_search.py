"""The plain systems beside our search, compared with slow obvious twins."""

import math
from itertools import combinations

import numpy as np

from matinee.evaluation.plain_search import Bm25, found_among, fused, place_of, ridge, words_of

TEXTS = ["a ship in deep space", "a dog and a cat", "the ship sails and sails", "", "space space space"]


def slow_bm25(texts: list[str], request: str, text: str) -> float:
    documents = [words_of(t) for t in texts]
    mean = sum(map(len, documents)) / len(documents)
    total = 0.0
    for word in set(words_of(request)):
        holding = sum(word in document for document in documents)
        times = words_of(text).count(word)
        rarity = math.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
        total += rarity * times * 2.2 / (times + 1.2 * (1 - 0.75 + 0.75 * len(words_of(text)) / mean)) if times else 0
    return total


def test_bm25_is_the_textbooks() -> None:
    index = Bm25(TEXTS)
    for request in ("ship in space", "a A a", "nothing known", ""):
        expected = [slow_bm25(TEXTS, request, text) for text in TEXTS]
        np.testing.assert_allclose(index.scores(request), expected, rtol=1e-6)


def test_fusion_adds_reciprocal_ranks() -> None:
    first, second = np.array([3.0, 2.0, 1.0]), np.array([0.1, 0.3, 0.2])
    expected = [1 / 60 + 1 / 62, 1 / 61 + 1 / 60, 1 / 62 + 1 / 61]
    np.testing.assert_allclose(fused(first, second), expected)


def test_places_count_those_above_and_half_of_the_ties() -> None:
    scores = np.array([5.0, 1.0, 1.0, 1.0, 0.0])
    assert [place_of(scores, target) for target in range(5)] == [0, 2, 2, 2, 4]


def test_found_among_fewer_is_the_mean_over_all_draws() -> None:
    places = np.array([0, 3, 1, 6, 5, 2, 4])  # of seven items
    for place, share in zip(places.tolist(), found_among(places, 4, 2).tolist(), strict=True):
        others = [other for other in range(7) if other != place]
        draws = [sum(other < place for other in draw) < 2 for draw in combinations(others, 3)]
        assert abs(share - sum(draws) / len(draws)) < 1e-12


def test_ridge_without_penalty_finds_the_map() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(4, 3)).astype(np.float32)
    inputs = rng.normal(size=(60, 4)).astype(np.float32)
    np.testing.assert_allclose(ridge(inputs, inputs @ truth, 0.0), truth, atol=1e-4)
