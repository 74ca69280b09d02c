"""A conversation about films: several turns refine one request, and every film named is one of the catalogue's."""

from .state import ChatAnswer, Chip, ConversationState, Question, Suggestion, Understood
from .turn import Dialogue

__all__ = ["ChatAnswer", "Chip", "ConversationState", "Dialogue", "Question", "Suggestion", "Understood"]
