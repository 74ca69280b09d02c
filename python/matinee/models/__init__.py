"""The model store: which models there are, and where their checked files lie on this machine."""

from matinee.models.store import (
    ModelInfo,
    folder_of,
    home,
    list_models,
    pull,
    resolve,
    verify,
    weights_sha256,
)

__all__ = ["ModelInfo", "folder_of", "home", "list_models", "pull", "resolve", "verify", "weights_sha256"]
