"""Texts and images to vectors.

    encoder = matinee.Encoder.load("minilm-l6-v2")
    vectors = encoder.encode(["A heist goes wrong.", "Toys come alive."])  # (2, 384) float32, rows of length 1

    clip = matinee.Encoder.load("clip-vit-b32-laion")
    clip.texts.encode(["a heist"]) @ clip.images.encode([poster]).vectors.T  # one space

The networks run in the compiled core on its own threads (`matinee._core.set_num_threads`). Encoders are unchangeable
and safe for concurrent callers; Python threads go on while one computes. Calls with few items join those that others
make at the same time (`BatchOptions`); where more waits than may, they raise Overloaded.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from matinee import _core, models
from matinee.batching import BatchOptions, answer
from matinee.errors import FormatError, InternalError, InvalidArgument, IoError, MatineeError, NotFound
from matinee.models.brought import weights_file

if TYPE_CHECKING:
    from matinee.torchscript import ImageNetwork, TextNetwork

Precision: TypeAlias = Literal["auto", "fp32", "bf16", "int8"]
Vectors: TypeAlias = npt.NDArray[np.float32]
Image: TypeAlias = bytes | npt.NDArray[np.uint8] | Path
Progress: TypeAlias = Callable[[str, int, int], None]  # ("texts" or "images", done, total)
_Contents: TypeAlias = list[bytes | npt.NDArray[np.uint8]]  # of images: files, or pixels
_Prepared = TypeVar("_Prepared")

# Items a call into the core; between calls progress is told and Ctrl-C is heard (about a second on two cores).
_TEXTS_A_CHUNK = 256
_IMAGES_A_CHUNK = 64
# Calls with at most so many join those of others. More is work in bulk, behind which single requests must not queue.
_TEXTS_THAT_JOIN = 128
_IMAGES_THAT_JOIN = 16
_MAX_IMAGE_BYTES = 20 << 20
# Splitting so many characters into tokens takes less time than asking another thread to do it.
_FEW_CHARACTERS = 4096


@dataclass(frozen=True)
class EncodedImages:
    """What `ImageEncoder.encode` answers: a batch never fails for one bad image."""

    vectors: Vectors  # (B, D); the row of a failed image is zeros
    errors: list[MatineeError | None]  # B; None where the image was encoded

    def __post_init__(self) -> None:
        if len(self.vectors) != len(self.errors):
            raise InternalError(f"EncodedImages: {len(self.vectors)} vectors but {len(self.errors)} errors")

    def __len__(self) -> int:
        return len(self.errors)

    def __repr__(self) -> str:
        failed = sum(error is not None for error in self.errors)
        return f"EncodedImages(vectors={self.vectors.shape} {self.vectors.dtype}, failed={failed})"


def model_folder(name_or_folder: str | os.PathLike[str]) -> Path:
    """The folder that `Encoder.load` reads: a `Path`, or a string with a separator in it, is one itself.

    Any other string is a name of the model store, which is pulled first where allowed. Raises what
    `matinee.models.resolve` raises.
    """
    if isinstance(name_or_folder, str) and not any(s and s in name_or_folder for s in (os.sep, os.altsep)):
        return models.resolve(name_or_folder)
    return Path(name_or_folder)


class Encoder(ABC):
    """A pretrained network that turns items into vectors: a TextEncoder, an ImageEncoder, or a JointEncoder of both."""

    kind: ClassVar[Literal["text", "image", "joint"]]

    _batcher: _core.TextBatcher | _core.ImageBatcher

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self._name = str(facts.get("name", folder.name))
        self._sha256 = _weights_sha256(folder, facts)

    @staticmethod
    def load(
        name_or_folder: str | os.PathLike[str],
        precision: Precision = "auto",
        *,
        squash: bool = False,
        stages: bool = False,
        batching: BatchOptions | None = None,
    ) -> TextEncoder | ImageEncoder | JointEncoder:
        """Loads a model of the model store by name, pulling it first where allowed, or from a folder.

        A folder may also hold a network of one's own as a TorchScript file (matinee.models.export_torchscript writes
        such folders); it is run by libtorch.

        A `Path`, or a string with a separator in it, is a folder; any other string is a name. `precision` is what the
        large products are computed in: "fp32", "bf16" (faster where the processor has it; cosine to fp32 above 0.999),
        "int8" (transformers only; faster still, with an agreement that `matinee models card` shows), or "auto", bf16 on
        processors that compute it. `squash` lets an image encoder see the whole image, squashed to its square, where
        the model's own preprocessing cuts out the centre. With `stages` the vector of an EfficientNet goes on after its
        own 1280 values: mean and deviation of every channel at the end of each of its stages, colours and textures
        before objects. Encoders without squares or stages take no notice of either. `batching` says how requests
        of different callers are computed together.

        Raises NotFound for an unknown name or a missing folder or file, FormatError where the model is damaged or not
        what its configuration says, IoError where it cannot be pulled, InvalidArgument for another precision.
        """
        folder = model_folder(name_or_folder)
        facts = _read_facts(folder)
        if facts.get("kind") == "text":
            return TextEncoder(folder, facts, precision, batching=batching)
        if facts.get("kind") == "image":
            return ImageEncoder(folder, facts, precision, squash=squash, stages=stages, batching=batching)
        if facts.get("kind") == "joint":
            return JointEncoder(folder, facts, precision, squash=squash, batching=batching)
        got = facts.get("kind")
        raise FormatError(f"{folder / 'matinee.json'}: kind: expected 'text', 'image' or 'joint', got {got!r}")

    @property
    def name(self) -> str:
        """The model's name in the store, or its folder's."""
        return self._name

    @property
    def sha256(self) -> str:
        """Of the weights, hexadecimal: what a bundle records, so that vectors of different weights never meet."""
        return self._sha256

    @property
    @abstractmethod
    def dimension(self) -> int:
        """D, values per vector."""

    @property
    @abstractmethod
    def precision(self) -> str:
        """ "fp32", "bf16" or "int8": what "auto" became."""

    @property
    def statistics(self) -> dict[str, int]:
        """Of calls with few items since the encoder was loaded: `requests` admitted, `batches` computed and the `items`
        in them, requests `refused` (Overloaded) and `cancelled`; and items `waiting` now."""
        return self._batcher.statistics

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, dimension={self.dimension}, precision={self.precision!r})"


class TextEncoder(Encoder):
    """Texts to unit vectors, whose inner product is the cosine of their meanings."""

    kind: ClassVar[Literal["text", "image", "joint"]] = "text"

    def __init__(
        self,
        folder: Path,
        facts: dict[str, Any],
        precision: Precision = "auto",
        *,
        batching: BatchOptions | None = None,
    ) -> None:
        """Use `Encoder.load`."""
        super().__init__(folder, facts)
        self._network = _text_network(folder, facts, precision)
        self._batcher: _core.TextBatcher = _core.TextBatcher(self._network, **asdict(batching or BatchOptions()))
        self._tokenizer = _tokenizer(folder, facts, self._network.max_tokens)
        if self._tokenizer.vocabulary_size > self._network.vocabulary:
            expected, got = self._network.vocabulary, self._tokenizer.vocabulary_size
            file = folder / ("vocab.json" if facts.get("family") == "clip" else "vocab.txt")
            raise FormatError(f"{file}: expected at most {expected} tokens, as many as the weights have, got {got}")

    @property
    def dimension(self) -> int:
        return self._network.dimension

    @property
    def precision(self) -> str:
        return self._network.precision

    @property
    def max_tokens(self) -> int:
        """Longest text in tokens, the markers at both ends included; what is beyond is not read."""
        return self._network.max_tokens

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """(B, D) float32 rows of length 1, in the order of `texts`.

        An empty text has a vector too (that of no words). A text's vector is the same whatever it is batched with, to
        1e-5 in each value at either precision. `progress` is called as ("texts", done, total). Raises InvalidArgument
        where something is not a str, Overloaded where too much waits; KeyboardInterrupt stops between chunks.
        """
        vectors = self._room_for(texts)
        encode = self._batcher.encode if len(texts) <= _TEXTS_THAT_JOIN else self._network.encode
        for start in range(0, len(texts), _TEXTS_A_CHUNK):
            chunk = texts[start : start + _TEXTS_A_CHUNK]
            token_ids, offsets = self._tokenizer.encode_batch(chunk)
            vectors[start : start + len(chunk)] = encode(token_ids, offsets)
            if progress:
                progress("texts", start + len(chunk), len(texts))
        return vectors

    async def encode_async(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """As `encode`, while the event loop goes on. Texts of other tasks and threads join in the same batches.

        A task that is cancelled takes with it what is not being computed yet.
        """
        vectors = self._room_for(texts)
        for start in range(0, len(texts), _TEXTS_THAT_JOIN):
            chunk = texts[start : start + _TEXTS_THAT_JOIN]
            if sum(len(text) for text in chunk if isinstance(text, str)) <= _FEW_CHARACTERS:
                tokens = self._tokenizer.encode_batch(chunk)
            else:
                tokens = await asyncio.to_thread(self._tokenizer.encode_batch, chunk)
            vectors[start : start + len(chunk)] = await answer(self._batcher.submit, *tokens)
            if progress:
                progress("texts", start + len(chunk), len(texts))
        return vectors

    def encode_one(self, text: str) -> Vectors:
        """(D,) float32 of length 1. Raises InvalidArgument where `text` is not a str."""
        return np.asarray(self.encode([text])[0])

    def activation_ranges(self, texts: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
        """The largest magnitude of each channel within the network: what `matinee.calibrate` makes a calibration of.

        Raises InvalidArgument unless loaded in fp32, and for a network of one's own.
        """
        if not isinstance(self._network, _core.TokenEncoder):
            raise InvalidArgument(f"activation_ranges: {self.name}: expected a transformer of the core")
        return self._network.activation_ranges(*self._tokenizer.encode_batch(list(texts)))

    def _room_for(self, texts: Sequence[str]) -> Vectors:
        if isinstance(texts, str):
            raise InvalidArgument("encode: texts: expected a list of str, got one str; use encode_one or [text]")
        return np.empty((len(texts), self.dimension), np.float32)


class ImageEncoder(Encoder):
    """Images to feature vectors; the model's own resize, crop and normalisation come first.

    Of unit length where the model compares by cosine, as CLIP does; else as the network gives them.
    """

    kind: ClassVar[Literal["text", "image", "joint"]] = "image"

    def __init__(
        self,
        folder: Path,
        facts: dict[str, Any],
        precision: Precision = "auto",
        *,
        squash: bool = False,
        stages: bool = False,
        batching: BatchOptions | None = None,
    ) -> None:
        """Use `Encoder.load`."""
        super().__init__(folder, facts)
        self._preprocessor = _core.Preprocessor.from_folder(folder, squash=squash, max_bytes=_MAX_IMAGE_BYTES)
        self._network = _image_network(folder, facts, precision, self._preprocessor, stages=stages)
        self._own_dimension = self._network.dimension
        if stages and isinstance(self._network, _core.ConvNet):
            # Loading has compared it with what the network has.
            self._own_dimension = int(json.loads((folder / "config.json").read_bytes())["feature_dimension"])
        height, width = self._preprocessor.height, self._preprocessor.width
        self._batcher: _core.ImageBatcher = _core.ImageBatcher(
            self._network, height=height, width=width, **asdict(batching or BatchOptions())
        )

    @property
    def dimension(self) -> int:
        return self._network.dimension

    @property
    def own_dimension(self) -> int:
        """Values of a vector without those of the stages, which follow them."""
        return self._own_dimension

    @property
    def precision(self) -> str:
        return self._network.precision

    def encode(self, images: Sequence[Image], *, progress: Progress | None = None) -> EncodedImages:
        """Vectors (B, D) float32 in the order of `images`, and an error or None for each.

        An image is the bytes of a JPEG, PNG or WebP file, an RGB array (H, W, 3) uint8, or the Path of a file. One that
        cannot be read gets a row of zeros and its error; the others are encoded all the same. An image's vector does
        not depend on the others. `progress` is called as ("images", done, total). Raises Overloaded where too much
        waits; KeyboardInterrupt stops between chunks.
        """
        if len(images) <= _IMAGES_THAT_JOIN:
            return self._encode_by_pixels(images, self._batcher.encode, progress)
        if isinstance(self._network, _core.ConvNet):
            return self._encode_by_image(images, self._network, progress)
        return self._encode_by_pixels(images, self._network.features, progress)

    def _encode_by_image(
        self, images: Sequence[Image], network: _core.ConvNet, progress: Progress | None
    ) -> EncodedImages:
        """Each core thread takes an image from its bytes to its vector: pixels never leave that core's cache."""

        def encode(contents: _Contents, errors: list[MatineeError | None]) -> Vectors:
            vectors, found = self._preprocessor.features(contents, network)
            errors[:] = [known or error for known, error in zip(errors, found, strict=True)]
            return vectors

        return self._in_chunks(images, _contents, encode, progress)

    def _encode_by_pixels(
        self, images: Sequence[Image], features: Callable[[Vectors], Vectors], progress: Progress | None
    ) -> EncodedImages:
        """All pixels of a chunk first, since the network wants many images at once."""

        def encode(pixels: Vectors, errors: list[MatineeError | None]) -> Vectors:
            vectors = np.zeros((len(pixels), self.dimension), np.float32)
            good = [i for i, error in enumerate(errors) if error is None]
            if good:
                vectors[good] = features(_rows(pixels, good))
            return vectors

        # Pixels are made by the core's threads too, which pick them up where the network leaves one idle.
        return self._in_chunks(images, self._pixels, encode, progress)

    def _in_chunks(
        self,
        images: Sequence[Image],
        prepare: Callable[[Sequence[Image]], tuple[_Prepared, list[MatineeError | None]]],
        encode: Callable[[_Prepared, list[MatineeError | None]], Vectors],
        progress: Progress | None,
    ) -> EncodedImages:
        """`encode` may add to the errors; the next chunk is prepared while it is busy with this one."""
        vectors = np.zeros((len(images), self.dimension), np.float32)
        errors: list[MatineeError | None] = []
        starts = range(0, len(images), _IMAGES_A_CHUNK)
        with ThreadPoolExecutor(1, thread_name_prefix="matinee-prepare") as helper:
            chunks = [images[start : start + _IMAGES_A_CHUNK] for start in starts]
            coming = helper.submit(prepare, chunks[0]) if chunks else None
            for number, start in enumerate(starts):
                assert coming is not None
                prepared, chunk_errors = coming.result()
                if number + 1 < len(chunks):
                    coming = helper.submit(prepare, chunks[number + 1])
                vectors[start : start + len(chunks[number])] = encode(prepared, chunk_errors)
                errors += chunk_errors
                if progress:
                    progress("images", len(errors), len(images))
        return EncodedImages(vectors, errors)

    async def encode_async(self, images: Sequence[Image], *, progress: Progress | None = None) -> EncodedImages:
        """As `encode`, while the event loop goes on. Images of other tasks and threads join in the same batches.

        A task that is cancelled takes with it what is not being computed yet.
        """
        vectors = np.zeros((len(images), self.dimension), np.float32)
        errors: list[MatineeError | None] = []
        for start in range(0, len(images), _IMAGES_THAT_JOIN):
            pixels, chunk_errors = await asyncio.to_thread(self._pixels, images[start : start + _IMAGES_THAT_JOIN])
            good = [i for i, error in enumerate(chunk_errors) if error is None]
            if good:
                vectors[[start + i for i in good]] = await answer(self._batcher.submit, _rows(pixels, good))
            errors += chunk_errors
            if progress:
                progress("images", len(errors), len(images))
        return EncodedImages(vectors, errors)

    def encode_one(self, image: Image) -> Vectors:
        """(D,) float32. Raises what is wrong with the image: UnsupportedFormat, FormatError, TooLarge, NotFound …"""
        pixels, errors = self._pixels([image])
        if errors[0] is not None:
            raise errors[0]
        return np.asarray(self._batcher.encode(pixels)[0])

    def activation_ranges(self, images: Sequence[Image]) -> dict[str, npt.NDArray[np.float32]]:
        """As `TextEncoder.activation_ranges`; images that cannot be read are passed over."""
        if not isinstance(self._network, _core.VisionTransformer):
            raise InvalidArgument(f"activation_ranges: {self.name}: expected a transformer of the core")
        ranges: dict[str, npt.NDArray[np.float32]] = {}
        for start in range(0, len(images), _IMAGES_A_CHUNK):
            pixels, errors = self._pixels(images[start : start + _IMAGES_A_CHUNK])
            good = [i for i, error in enumerate(errors) if error is None]
            for name, seen in self._network.activation_ranges(_rows(pixels, good)).items():
                ranges[name] = np.maximum(ranges[name], seen) if name in ranges else seen
        return ranges

    def _pixels(self, images: Sequence[Image]) -> tuple[npt.NDArray[np.float32], list[MatineeError | None]]:
        """Network input (B, 3, S, S) and an error or None for each image."""
        contents, unread = _contents(images)
        pixels, errors = self._preprocessor.run(contents)
        return pixels, [known or error for known, error in zip(unread, errors, strict=True)]


def _contents(images: Sequence[Image]) -> tuple[_Contents, list[MatineeError | None]]:
    """What the core reads, and an error or None for each image; one that cannot be read is empty."""
    contents: _Contents = []
    errors: list[MatineeError | None] = []
    for image in images:
        error = None
        if isinstance(image, Path):
            try:
                image = _read_image(image)  # noqa: PLW2901  from here on it is its content
            except MatineeError as raised:
                image, error = b"", raised  # noqa: PLW2901
        contents.append(image)
        errors.append(error)
    return contents, errors


def _rows(pixels: npt.NDArray[np.float32], rows: list[int]) -> npt.NDArray[np.float32]:
    """These images; `pixels` itself where it is all of them."""
    return pixels if len(rows) == len(pixels) else pixels[rows]


class JointEncoder(Encoder):
    """Texts and images to unit vectors in one space, whose inner product says how well a text fits an image."""

    kind: ClassVar[Literal["text", "image", "joint"]] = "joint"

    def __init__(
        self,
        folder: Path,
        facts: dict[str, Any],
        precision: Precision = "auto",
        *,
        squash: bool = False,
        batching: BatchOptions | None = None,
    ) -> None:
        """Use `Encoder.load`."""
        super().__init__(folder, facts)
        self.texts = TextEncoder(folder, facts, precision, batching=batching)
        self.images = ImageEncoder(folder, facts, precision, squash=squash, batching=batching)
        if self.texts.dimension != self.images.dimension:
            got = f"{self.texts.dimension} and {self.images.dimension}"
            raise FormatError(f"{folder}: expected texts and images of one dimension, got {got}")

    @property
    def dimension(self) -> int:
        return self.texts.dimension

    @property
    def precision(self) -> str:
        return self.texts.precision

    @property
    def statistics(self) -> dict[str, int]:
        texts, images = self.texts.statistics, self.images.statistics
        return {name: texts[name] + images[name] for name in texts}


def text_side(encoder: Encoder) -> TextEncoder:
    """An encoder of texts itself, or the half of a joint one that reads them. Raises InvalidArgument for any other."""
    side = encoder.texts if isinstance(encoder, JointEncoder) else encoder
    if not isinstance(side, TextEncoder):
        raise InvalidArgument(f"model {encoder.name}: expected an encoder of texts, got one of images")
    return side


def image_side(encoder: Encoder) -> ImageEncoder:
    """As `text_side`, for images."""
    side = encoder.images if isinstance(encoder, JointEncoder) else encoder
    if not isinstance(side, ImageEncoder):
        raise InvalidArgument(f"model {encoder.name}: expected an encoder of images, got one of texts")
    return side


def _tokenizer(folder: Path, facts: dict[str, Any], max_tokens: int) -> _core.WordPiece | _core.ClipBpe:
    if facts.get("family") == "clip":
        return _core.ClipBpe(folder, max_tokens=max_tokens)
    lowercase = facts.get("lowercase", True)
    if not isinstance(lowercase, bool):
        raise FormatError(f"{folder / 'matinee.json'}: lowercase: expected true or false, got {lowercase!r}")
    return _core.WordPiece(folder / "vocab.txt", lowercase=lowercase, max_tokens=max_tokens)


def _text_network(folder: Path, facts: dict[str, Any], precision: Precision) -> _core.TokenEncoder | TextNetwork:
    if facts.get("family") == "torchscript":
        from matinee.torchscript import TextNetwork  # noqa: PLC0415  brings libtorch, which only such folders need

        return TextNetwork(folder, facts, precision)
    return _core.TokenEncoder.load(folder, precision)


def _image_network(
    folder: Path, facts: dict[str, Any], precision: Precision, preprocessor: _core.Preprocessor, *, stages: bool
) -> _core.ConvNet | _core.VisionTransformer | ImageNetwork:
    height, width = preprocessor.height, preprocessor.width
    if facts.get("family") == "torchscript":
        from matinee.torchscript import ImageNetwork  # noqa: PLC0415  as above

        return ImageNetwork(folder, facts, precision, height=height, width=width)
    network: _core.ConvNet | _core.VisionTransformer = (
        _core.VisionTransformer.load(folder, precision)
        if facts.get("family") == "clip"
        else _core.ConvNet.load(folder, precision, stages=stages)
    )
    if (height, width) != (network.image_size, network.image_size):
        expected = f"{network.image_size} x {network.image_size}"
        raise FormatError(
            f"{folder / 'preprocessor_config.json'}: expected images of {expected}, got {height} x {width}"
        )
    return network


def _read_image(path: Path) -> bytes:
    """The file's bytes; of a file above the limit just enough for the decoder to refuse it."""
    try:
        with path.open("rb") as file:
            return file.read(_MAX_IMAGE_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFound(f"{path}: no such file") from error
    except OSError as error:
        raise IoError(f"{path}: {error.strerror}") from error


def _read_facts(folder: Path) -> dict[str, Any]:
    path = folder / "matinee.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFound(
            f"{path}: no such file; a model folder has matinee.json, config.json and model.safetensors"
        ) from error
    except OSError as error:
        raise IoError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise FormatError(f"{path}: expected JSON: {error}") from error
    if not isinstance(facts, dict):
        raise FormatError(f"{path}: expected a JSON object")
    return facts


def _weights_sha256(folder: Path, facts: dict[str, Any]) -> str:
    """From the store's list of files, which was checked when resolving; a folder without one is read."""
    if (folder / "files.json").is_file():
        return models.weights_sha256(folder)
    path = weights_file(folder, facts)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise NotFound(f"{path}: no such file") from error
    except OSError as error:
        raise IoError(f"{path}: {error.strerror}") from error
