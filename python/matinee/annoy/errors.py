"""Errors of `matinee.annoy`: ours by what is wrong, and also what annoy raises in the same place."""

from __future__ import annotations

from matinee.errors import FormatError, InvalidArgument, NotFound


class NoSuchItem(NotFound, IndexError):
    """An item number below 0, or above the largest that was added."""


class WrongLength(InvalidArgument, IndexError):
    """A vector with another number of components than the index."""


class WrongState(InvalidArgument):
    """A call that the index cannot do now, such as adding after `build`."""


class NotBuilt(WrongState, OSError):
    """`save` before `build`."""


class UnsupportedMetric(InvalidArgument):
    """A metric of annoy's that there is no index for here."""


class MissingFile(NotFound, FileNotFoundError):
    """There is no file of this name."""


class FileUnreadable(FormatError, OSError):
    """A file that is no index of this metric and dimension: foreign, cut or damaged."""


__all__ = [
    "FileUnreadable",
    "MissingFile",
    "NoSuchItem",
    "NotBuilt",
    "UnsupportedMetric",
    "WrongLength",
    "WrongState",
]
