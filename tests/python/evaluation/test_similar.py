"""What people liked together, compared with a slow obvious twin."""

import math
import random

import pytest

from matinee.evaluation.similar import co_likes


def test_co_likes_are_shrunk_cosines() -> None:
    draw = random.Random(0)
    likes = [(f"p{draw.randrange(30)}", f"f{draw.randrange(8)}") for _ in range(200)]
    found = co_likes(likes, min_likes=12)
    who = {film: {p for p, f in likes if f == film} for _, film in likes}
    assert set(found.film_ids) == {film for film, people in who.items() if len(people) >= 12}
    for i, one in enumerate(found.film_ids):
        assert found.likes[i] == len(who[one])
        for j, other in enumerate(found.film_ids):
            both = len(who[one] & who[other]) if i != j else 0
            expected = both / (math.sqrt(len(who[one]) * len(who[other])) + 10)
            assert found.together[i, j] == pytest.approx(expected)


def test_nobody_likes_nothing() -> None:
    assert co_likes([]).film_ids == []
