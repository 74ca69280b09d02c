"""The catalogue of films: the editable database, its sources, and the frozen copy inside a bundle."""
