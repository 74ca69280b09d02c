"""What people see, as HTML. Everything that comes from the catalogue, the API or a person is escaped here.

Class names begin with `mt-`; static/style.css says how they look. Elements with `data-film` open that film, `data-act`
name another action, `data-copy` is copied by static/page.js.
"""

from .answers import check_answer, compare_sides, fit_answer, genre_answer
from .chat import chat_answer
from .films import card, film_examples, film_list, film_panel, film_problem, poster, text_examples, wall
from .frame import demo_banner, header
from .models import cards, evaluation
from .words import call, hint, label, percent, problem_card, text, working

__all__ = [
    "call",
    "card",
    "cards",
    "chat_answer",
    "check_answer",
    "compare_sides",
    "demo_banner",
    "evaluation",
    "film_examples",
    "film_list",
    "film_panel",
    "film_problem",
    "fit_answer",
    "genre_answer",
    "header",
    "hint",
    "label",
    "percent",
    "poster",
    "problem_card",
    "text",
    "text_examples",
    "wall",
    "working",
]
