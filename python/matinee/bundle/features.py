"""What the encoders see of a film, and what they make of it: the same in a build and in a request."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matinee import _core, models
from matinee.batching import BatchOptions
from matinee.bundle.manifest import ModelEntry
from matinee.bundle.poster_view import Pixels, closer_views, poster_view
from matinee.encode import Encoder, ImageEncoder, JointEncoder, TextEncoder, image_side, text_side
from matinee.errors import FormatError, InvalidArgument, IoError, MatineeError, NotFound, TooLarge
from matinee.vector_cache import CacheStatistics, VectorCache

Floats = NDArray[np.float32]
ImageLike = bytes | bytearray | memoryview | Path | str | NDArray[np.uint8]
"""The bytes of a JPEG, PNG or WebP file, the path of one, or RGB pixels (H, W, 3)."""

MAX_IMAGE_BYTES = 20 << 20
_REMEMBERED_TEXT_BYTES = 16 << 20  # some 8,000 queries and sentences
_REMEMBERED = 32  # posters: the check and the genres of one upload come right after each other


@dataclass(frozen=True)
class SeenImage:
    """An image as it came."""

    key: str  # sha256 of its bytes
    pixels: Pixels  # (H, W, 3)


@dataclass(frozen=True)
class EncodingStatistics:
    """What the encoders of a bundle have done for requests since it was opened."""

    batching: dict[str, dict[str, int]]  # of 'text' and 'image', where loaded: Encoder.statistics
    remembered_texts: CacheStatistics


def see(function: str, image: ImageLike) -> SeenImage:
    """Decodes an image. Raises UnsupportedFormat, FormatError, TooLarge, NotFound, IoError, InvalidArgument."""
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise InvalidArgument(f"{function}: expected (H, W, 3) uint8 pixels, got {image.shape} {image.dtype}")
        pixels = np.ascontiguousarray(image)
        return SeenImage(hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest(), pixels)
    data = read_image(function, image)
    return SeenImage(hashlib.sha256(data).hexdigest(), _core.decode_rgb(data, max_bytes=MAX_IMAGE_BYTES))


def read_image(function: str, image: bytes | bytearray | memoryview | Path | str) -> bytes:
    """The bytes of an image file; not decoded yet."""
    if isinstance(image, bytes | bytearray | memoryview):
        data = bytes(image)
    elif isinstance(image, Path | str):
        try:
            with Path(image).open("rb") as file:
                data = file.read(MAX_IMAGE_BYTES + 1)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise NotFound(f"{function}: expected an image file, found none at {image}") from error
        except (OSError, ValueError) as error:
            raise IoError(f"{function}: {image!r} cannot be read: {error}") from error
    else:
        kind = type(image).__name__
        raise InvalidArgument(f"{function}: expected the bytes or path of an image or its pixels, got {kind}")
    if len(data) > MAX_IMAGE_BYTES:
        raise TooLarge(f"{function}: expected an image of at most {MAX_IMAGE_BYTES >> 20} MiB")
    return data


class Encoders:
    """The two encoders of a bundle, loaded when first needed. Safe for concurrent threads."""

    def __init__(
        self,
        text_model: str,
        image_model: str,
        expected: dict[str, ModelEntry] | None = None,
        *,
        batching: BatchOptions | None = None,
    ) -> None:
        """`expected`: what the bundle's vectors were made with; another model of the same name is refused."""
        self._names = {"text": text_model, "image": image_model}
        self._expected = expected or {}
        self._lock = threading.Lock()
        self._loaded: dict[str, Encoder] = {}  # by name: one joint model may be both
        self._text: TextEncoder | None = None
        self._image: ImageEncoder | None = None
        self._batching = batching
        self._remembered_texts = VectorCache(_REMEMBERED_TEXT_BYTES)
        self._whole: OrderedDict[str, Floats] = OrderedDict()
        self._details: OrderedDict[str, Floats] = OrderedDict()

    @property
    def text(self) -> TextEncoder:
        """Raises NotFound, IoError (not pulled and no network), FormatError (other weights than the bundle's)."""
        with self._lock:
            if self._text is None:
                encoder = text_side(self._load("text"))
                self._check("text", encoder)
                self._text = encoder
            return self._text

    @property
    def image(self) -> ImageEncoder:
        """As `text`. It sees the whole of a poster: a centre crop would lose title and feet."""
        with self._lock:
            if self._image is None:
                encoder = image_side(self._load("image"))
                self._check("image", encoder)
                self._image = encoder
            return self._image

    @property
    def in_one_space(self) -> bool:
        """Whether texts and images are read by the two halves of one joint model (CLIP): a text and an image that
        belong together lie near each other without anything learned here. Loads what `text` loads."""
        with self._lock:
            return self._names["text"] == self._names["image"] and isinstance(self._load("text"), JointEncoder)

    def entry(self, kind: str) -> ModelEntry:
        """What a manifest says of the 'text' or 'image' encoder."""
        encoder = self.text if kind == "text" else self.image
        return ModelEntry(
            name=self._names[kind],
            sha256=encoder.sha256,
            dimension=encoder.dimension if isinstance(encoder, TextEncoder) else encoder.own_dimension,
            precision=encoder.precision,
        )

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """Unit rows (B, T)."""
        return self.text.encode(texts)

    def encode_request(self, texts: Sequence[str]) -> Floats:
        """As `encode_texts`, for what people ask: the last texts are remembered. Raises Overloaded."""
        return self._remembered_texts.encode(texts, self.text.encode)

    def statistics(self) -> EncodingStatistics:
        """Counts so far; loads nothing."""
        loaded = {"text": self._text, "image": self._image}
        batching = {kind: encoder.statistics for kind, encoder in loaded.items() if encoder is not None}
        return EncodingStatistics(batching, self._remembered_texts.statistics())

    def encode_views(self, views: Sequence[Pixels | MatineeError]) -> tuple[Floats, list[Exception | None]]:
        """(B, 2 E) of poster views: the whole view and `details`, side by side; an error stays one, its row zeros."""
        encoder = self.image
        good = [i for i, view in enumerate(views) if not isinstance(view, MatineeError)]
        looks = [[view, *closer_views(view)] for view in views if not isinstance(view, MatineeError)]
        vectors = np.zeros((len(views), 2 * encoder.dimension), np.float32)
        errors: list[Exception | None] = [view if isinstance(view, MatineeError) else None for view in views]
        encoded = encoder.encode([look for several in looks for look in several])
        found = encoded.vectors.reshape(len(good), -1, encoder.dimension) if good else encoded.vectors
        for place, several in zip(good, found, strict=True):
            vectors[place] = np.concatenate([several[0], several.mean(axis=0)])
        for number, error in enumerate(encoded.errors):
            if error is not None:
                errors[good[number // len(looks[0])]] = error
        return vectors, errors

    def features(self, seen: SeenImage) -> Floats:
        """Features (D,) of one image; the last few are remembered."""
        return self._whole_view(seen)[: self.image.own_dimension]

    def encode_styles(self, views: Sequence[Pixels | MatineeError]) -> tuple[Floats, list[Exception | None]]:
        """(B, S) of poster views as `style_of` takes them; an error stays one, its row zeros."""
        good = [i for i, view in enumerate(views) if not isinstance(view, MatineeError)]
        encoded = self.image.encode([views[i] for i in good])  # type: ignore[misc]
        vectors = np.zeros((len(views), self.image.dimension), np.float32)
        errors: list[Exception | None] = [view if isinstance(view, MatineeError) else None for view in views]
        if good:
            vectors[good] = encoded.vectors
        for place, error in zip(good, encoded.errors, strict=True):
            errors[place] = error
        return self.style_of(vectors), errors

    def style(self, seen: SeenImage) -> Floats:
        """(S,) of one image: colours, textures and lettering, which tell a poster from another image; remembered."""
        return self.style_of(self._whole_view(seen))

    def style_of(self, vectors: Floats) -> Floats:
        """(…, S) of whole views (…, E): what the encoder's stages see, or all of it where it has none."""
        encoder = self.image
        begin = encoder.own_dimension if encoder.own_dimension < encoder.dimension else 0
        return vectors[..., begin : encoder.dimension]

    def details(self, seen: SeenImage) -> Floats:
        """(E,) of one image: the mean over the whole and closer views, stages of the encoder included; remembered."""

        def compute() -> Floats:
            closer = self.image.encode(closer_views(poster_view(seen.pixels)))
            for error in closer.errors:
                if error is not None:
                    raise error
            return np.asarray(np.vstack([self._whole_view(seen), closer.vectors]).mean(axis=0), dtype=np.float32)

        return self._remember(self._details, seen.key, compute)

    def _whole_view(self, seen: SeenImage) -> Floats:
        return self._remember(self._whole, seen.key, lambda: self.image.encode_one(poster_view(seen.pixels)))

    def _remember(self, known: OrderedDict[str, Floats], key: str, compute: Callable[[], Floats]) -> Floats:
        with self._lock:
            if (vector := known.get(key)) is not None:
                known.move_to_end(key)
                return vector
        vector = compute()
        with self._lock:
            known[key] = vector
            while len(known) > _REMEMBERED:
                known.popitem(last=False)
        return vector

    def _load(self, kind: str) -> Encoder:
        name = self._names[kind]
        if name not in self._loaded:
            folder = models.resolve(name)
            self._loaded[name] = Encoder.load(folder, squash=True, stages=True, batching=self._batching)
        return self._loaded[name]

    def _check(self, kind: str, encoder: Encoder) -> None:
        expected = self._expected.get(kind)
        if expected is not None and encoder.sha256 != expected.sha256:
            raise FormatError(
                f"model {expected.name}: the bundle was built with weights {expected.sha256[:12]}…, this machine has "
                f"{encoder.sha256[:12]}…; build the bundle again or install the matching version"
            )
