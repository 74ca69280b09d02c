"""The protocols of `matinee evaluate`, by name. One a capability; each is a function from a Subject to its Findings."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matinee.evaluation.report import Findings
    from matinee.evaluation.subject import Subject

# Name on the command line -> module:function. Imported when asked for: a protocol may need what others do not.
PROTOCOLS: dict[str, str] = {
    "genre": "matinee.evaluation.genre:evaluate_genre",
    "poster": "matinee.evaluation.poster:evaluate_poster",
    "search": "matinee.evaluation.search:evaluate_search",
    "chat": "matinee.evaluation.chat:evaluate_chat",
}


def protocol(name: str) -> Callable[[Subject], Findings]:
    """The function of a protocol."""
    module, _, function = PROTOCOLS[name].partition(":")
    found: Callable[[Subject], Findings] = getattr(importlib.import_module(module), function)
    return found
