"""Measuring: metrics and their intervals. Nothing here knows a model."""
