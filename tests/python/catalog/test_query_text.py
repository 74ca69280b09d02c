"""Which words of a text are looked up."""

import pytest

from matinee.catalog.query_text import description_terms, query_terms

DESCRIPTION = (
    "Hi, I can't remember the name of this movie. I saw it on TV years ago: a lighthouse keeper raises a seal, "
    "and smugglers steal the lamp during a storm, so his daughter swims to the mainland."
)


def test_talk_about_remembering_is_dropped_from_descriptions() -> None:
    terms = description_terms(DESCRIPTION)
    assert terms is not None
    assert {"lighthouse", "keeper", "seal", "smugglers", "lamp", "storm", "daughter", "mainland"} <= set(terms)
    assert not {"remember", "name", "saw", "tv", "years", "ago", "can", "cant", "t", "hi"} & set(terms)


@pytest.mark.parametrize("text", ["", "Remember Me", "The Man Who Knew Too Much", "Tom Hanks", "saw"])
def test_titles_and_names_keep_every_word(text: str) -> None:
    assert description_terms(text) is None


def test_a_text_of_talk_alone_is_looked_up_all_the_same() -> None:
    text = "hello please help remember saw watched searching title vague memory thanks advance solved edit"
    assert len(query_terms(text)) > 12
    assert description_terms(text) == query_terms(text)
