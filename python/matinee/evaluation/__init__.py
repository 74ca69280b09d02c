"""Measuring: metrics and their intervals, and `matinee evaluate`, which runs protocols and writes reports."""
