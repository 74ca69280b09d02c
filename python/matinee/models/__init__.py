"""The model store: which models there are, and where their checked files lie on this machine."""

from matinee.models.clip_folder import import_clip
from matinee.models.export import Exported, export_torchscript, export_transformers
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

__all__ = [
    "Exported",
    "ModelInfo",
    "export_torchscript",
    "export_transformers",
    "folder_of",
    "home",
    "import_clip",
    "list_models",
    "pull",
    "resolve",
    "verify",
    "weights_sha256",
]
