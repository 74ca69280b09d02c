"""Bundles: immutable, versioned, checksummed directories that the product is served from."""

from typing import TYPE_CHECKING, Any

from matinee.bundle.features import EncodingStatistics
from matinee.bundle.manifest import Manifest
from matinee.bundle.opened import Bundle, open_bundle
from matinee.bundle.verify import verify

if TYPE_CHECKING:
    from matinee.bundle.builder import BuildResult, build

__all__ = ["BuildResult", "Bundle", "EncodingStatistics", "Manifest", "build", "open_bundle", "verify"]


def __getattr__(name: str) -> Any:
    # Building imports scikit-learn and the sources; whoever only serves a bundle does not wait for them.
    if name in ("build", "BuildResult"):
        from matinee.bundle import builder  # noqa: PLC0415

        return getattr(builder, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
