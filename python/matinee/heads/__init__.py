"""Heads: small models on frozen features. Answering needs NumPy alone; `heads.fit` trains with scikit-learn."""

from matinee.heads.card import Metric, ModelCard
from matinee.heads.head import Head
from matinee.heads.split import Part, part_of

__all__ = ["Head", "Metric", "ModelCard", "Part", "part_of"]
