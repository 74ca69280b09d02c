"""Finding films: alike to given ones, or fitting a request in plain words."""
