"""The learning curve on the bundle of drawn films; with all films it is the bundle itself."""

from pathlib import Path

import numpy as np

from matinee.bundle import open_bundle
from matinee.evaluation.learning_curve import learning_curve
from matinee.heads.split import part_of


def test_all_films_teach_what_the_bundle_knows_and_fewer_give_fewer_pairs(small_bundle: Path) -> None:
    bundle = open_bundle(small_bundle)
    table = learning_curve(bundle, lambda *_: None)
    shares, pairs, recalls, areas = zip(*table.rows, strict=True)
    assert shares == ("1/8", "2/8", "4/8", "8/8")
    both = [film for film in bundle.films() if film.has_poster and film.plot]
    assert list(pairs) == sorted(pairs) and pairs[-1] == sum(part_of(film.id) != "test" for film in both)
    held_back = [film for film in both if part_of(film.id) == "test"]
    plots = np.stack([bundle.joint_vector(plot=film.plot) for film in held_back])
    posters = np.stack([bundle.joint_vector(poster=bundle.poster(film.id)[0]) for film in held_back])
    scores = plots @ posters.T
    found = [int((row > row[place]).sum()) < 10 for place, row in enumerate(scores)]
    assert recalls[-1] is not None and abs(recalls[-1] - np.mean(found)) < 1e-6
    assert areas[-1] is not None and areas[-1] > 0.6
