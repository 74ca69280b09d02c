"""A conversation about films: several turns refine one request, and every film named is one of the catalogue's."""

from .reading import read_sentence
from .state import ChatAnswer, Chip, ConversationState, Question, Suggestion, Understood
from .turn import Dialogue
from .vocabulary import Vocabulary

__all__ = [
    "ChatAnswer",
    "Chip",
    "ConversationState",
    "Dialogue",
    "Question",
    "Suggestion",
    "Understood",
    "Vocabulary",
    "read_sentence",
]
