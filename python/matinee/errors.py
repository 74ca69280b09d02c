"""Everything Matinee raises.

A small tree: each class is a `MatineeError` and the built-in that a Python programmer would expect, so both
``except matinee.MatineeError`` and ``except ValueError`` work. Messages say what was expected, what came and what to
do. The compiled core throws the same classes.
"""

from __future__ import annotations


class MatineeError(Exception):
    """Base of all errors of this package."""


class InvalidArgument(MatineeError, ValueError):
    """An argument outside its documented range; HTTP 422."""


class TooLarge(InvalidArgument):
    """Well-formed, but above a limit on bytes, pixels or items; HTTP 413."""


class NotFound(MatineeError, LookupError):
    """A film, model or file that does not exist; HTTP 404."""


class FormatError(MatineeError, ValueError):
    """Bytes that are not what they claim to be: truncated, corrupt or of another version; HTTP 422."""


class UnsupportedFormat(FormatError):
    """Bytes of a kind that is not read at all, such as a GIF where JPEG, PNG or WebP is expected; HTTP 415."""


class IoError(MatineeError, OSError):
    """The operating system or the network refused to read or write; HTTP 503."""


class InternalError(MatineeError, RuntimeError):
    """A broken promise of our own; HTTP 500. Please report it."""


class Overloaded(MatineeError, RuntimeError):
    """More work waits already than may; the same request succeeds later. HTTP 503."""


class Cancelled(MatineeError):
    """A call was stopped on request, or whoever was to answer it has ended."""


class TorchConflict(MatineeError, ImportError):
    """Two libtorches would meet in one process; the message says how to keep them apart."""


__all__ = [
    "Cancelled",
    "FormatError",
    "InternalError",
    "InvalidArgument",
    "IoError",
    "MatineeError",
    "NotFound",
    "Overloaded",
    "TooLarge",
    "TorchConflict",
    "UnsupportedFormat",
]
