"""Matinee, the AI toolbox of a film-streaming catalogue."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from matinee.errors import (
    Cancelled,
    FormatError,
    InternalError,
    InvalidArgument,
    IoError,
    MatineeError,
    NotFound,
    Overloaded,
    TooLarge,
    TorchConflict,
    UnsupportedFormat,
)

if TYPE_CHECKING:
    from matinee.batching import BatchOptions
    from matinee.bundle import Bundle, open_bundle
    from matinee.calibration import Agreement, calibrate
    from matinee.clip_tokenizer import ClipTokenizer
    from matinee.encode import EncodedImages, Encoder, ImageEncoder, JointEncoder, TextEncoder
    from matinee.index import Index, Neighbors, PreparedFilter

# These load the compiled core, and are loaded when they are first asked for: the web UI is a part of this package that
# needs nothing of it, and runs where OpenCV and oneDNN are not installed.
_HOMES = {
    "BatchOptions": "matinee.batching",
    "Bundle": "matinee.bundle",
    "open_bundle": "matinee.bundle",
    "Agreement": "matinee.calibration",
    "calibrate": "matinee.calibration",
    "ClipTokenizer": "matinee.clip_tokenizer",
    "EncodedImages": "matinee.encode",
    "Encoder": "matinee.encode",
    "ImageEncoder": "matinee.encode",
    "JointEncoder": "matinee.encode",
    "TextEncoder": "matinee.encode",
    "Index": "matinee.index",
    "Neighbors": "matinee.index",
    "PreparedFilter": "matinee.index",
}

__version__ = version("matinee")

__all__ = [
    "Agreement",
    "BatchOptions",
    "Bundle",
    "Cancelled",
    "ClipTokenizer",
    "EncodedImages",
    "Encoder",
    "FormatError",
    "ImageEncoder",
    "Index",
    "InternalError",
    "InvalidArgument",
    "IoError",
    "JointEncoder",
    "MatineeError",
    "Neighbors",
    "NotFound",
    "Overloaded",
    "PreparedFilter",
    "TextEncoder",
    "TooLarge",
    "TorchConflict",
    "UnsupportedFormat",
    "__version__",
    "calibrate",
    "open_bundle",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'matinee' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
