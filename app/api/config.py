"""What the API can be told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ApiConfig:
    """Limits and switches of the API. Defaults suit one machine."""

    max_upload_bytes: int = 20 * 2**20  # a request's whole body; 413 above
    max_field_bytes: int = 4 * 2**20  # all text fields of a form together; 413 above
    poster_cache_seconds: int = 3600  # how long browsers keep a poster before they ask again


__all__ = ["ApiConfig"]
