"""The embedded default catalogue: real facts, plots in our own words, posters drawn by code. All of it demo data.

`matinee.catalog.demo.source.DemoSource` is the source; ``films.toml`` here is what `matinee demo` builds.
"""

from importlib.resources import files
from pathlib import Path

SOURCE_FILE = Path(str(files(__name__).joinpath("films.toml")))
"""The films.toml of the demo catalogue."""
