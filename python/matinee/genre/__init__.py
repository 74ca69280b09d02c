"""Genres from a poster, a plot, or both: training and answering."""
