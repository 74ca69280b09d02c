"""A data set as a folder or as a zip of one: the same two calls for both."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from matinee.catalog.report import BuildReport
from matinee.catalog.source import Image
from matinee.errors import FormatError, NotFound

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})


class Folder:
    """Files below a folder or inside a zip, by relative name with '/'. Raises NotFound, FormatError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        if path.is_dir():
            return
        if not path.is_file():
            raise NotFound(f"source: path: expected a folder or a zip, found nothing at {path}")
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, ValueError) as error:
            raise FormatError(f"{path.name}: expected a zip: {error}") from error

    def names(self) -> Iterator[str]:
        """Relative names of all files, sorted; what systems leave behind ('__MACOSX', dot files) is passed over."""
        if self._zip is not None:
            found = [info.filename for info in self._zip.infolist() if not info.is_dir()]
        else:
            found = [file.relative_to(self.path).as_posix() for file in self.path.rglob("*") if file.is_file()]
        for name in sorted(found):
            if not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts):
                yield name

    def images(self, report: BuildReport, source: str) -> Iterator[str]:
        """Relative names of all files with the ending of an image; a name that is not UTF-8 is reported instead."""
        for name in self.names():
            if PurePosixPath(name).suffix.lower() not in IMAGE_SUFFIXES:
                continue
            try:
                name.encode("utf-8")
            except UnicodeEncodeError:
                report.add(source, "broken_utf8", "the name of an image is not UTF-8", "left it out", film=name)
                continue
            yield name

    def named(self, file_name: str) -> str | None:
        """The relative name of the first file called `file_name`, at any depth; None without one."""
        return next((name for name in self.names() if PurePosixPath(name).name == file_name), None)

    def image(self, name: str) -> Image:
        """A path where there is one, else the bytes. Raises FormatError where the zip is damaged there."""
        return self.path / name if self._zip is None else self._read(self._zip, name)

    def image_or_report(self, name: str, report: BuildReport, source: str, film: str | None = None) -> Image | None:
        """As image(); where the zip is damaged there, None and a row in the report."""
        try:
            return self.image(name)
        except FormatError as error:
            report.add(source, "unreadable_image", str(error), "left the image out", film=film or name)
            return None

    def extracted(self, name: str, folder: Path) -> Path:
        """A path to the file's content: itself, or a copy in `folder` when it is inside a zip."""
        if self._zip is None:
            return self.path / name
        target = folder / PurePosixPath(name).name
        target.write_bytes(self._read(self._zip, name))
        return target

    def _read(self, archive: zipfile.ZipFile, name: str) -> bytes:
        try:
            return archive.read(name)
        # RuntimeError: encrypted; the others: what a damaged member makes zipfile and zlib raise
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as error:
            raise FormatError(f"{self.path.name}: {name}: cannot be unpacked: {error}") from error
