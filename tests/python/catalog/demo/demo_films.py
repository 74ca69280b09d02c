"""Films for the tests to draw."""

from __future__ import annotations

from matinee.catalog.film import Film, Person


def film(title: str, *, genres: tuple[str, ...] = ("Drama",), year: int = 1990, film_id: str = "demo:1") -> Film:
    """A film with people, as the generator likes them."""
    people = (
        Person(name="Yasujirō Ozu", role="director"),
        Person(name="Setsuko Hara", role="cast"),
        Person(name="Chishū Ryū", role="cast"),
    )
    return Film(id=film_id, title=title, year=year, genres=genres, people=people, countries=("Japan",))
