"""Writes a network of one's own as a model folder that `matinee.Encoder` loads: TorchScript, checked before it counts.

The exporting process holds pip's torch; a serving process runs the file on another, often much older libtorch. So the
file is tried in a process of its own, on that libtorch, and what it gives there is compared with what the network gave
here. torch and transformers are imported by these functions alone; nothing else of the package needs them.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from matinee.errors import FormatError, InvalidArgument, NotFound
from matinee.models.brought import new_folder
from matinee.models.export_check import TOLERANCE
from matinee.models.sources import disk_errors

Arrays = dict[str, npt.NDArray[Any]]

_FILE = "model.pt"
_LONGEST_TEXT = 512


@dataclass(frozen=True)
class Exported:
    """What `export_torchscript` wrote."""

    path: Path
    kind: str  # "image" or "text"
    dimension: int
    any_length: bool  # of a text network: whether it takes shorter inputs, so that short texts are computed faster
    libtorch: str  # the version it was checked on
    difference: float  # largest difference of any value between the two torches, as a share of the largest value


def export_torchscript(
    module: Any,
    example: Any,
    folder: str | Path,
    *,
    name: str | None = None,
    preprocessor: Mapping[str, Any] | Path | None = None,
    vocabulary: Path | None = None,
    lowercase: bool = True,
    pad_token: int = 0,
    output: int = 0,
) -> Exported:
    """Traces a torch.nn.Module and writes the new model folder `folder`.

    The `example` decides the kind. A float32 tensor (B, 3, H, W) makes an image encoder; `preprocessor` is then the
    content or path of a preprocessor_config.json (as the transformers library writes them) that ends in images of
    H x W. An int64 tensor (B, T) of token ids makes a text encoder of up to T tokens; `vocabulary` is then a vocab.txt
    for WordPiece, `lowercase` whether it is uncased, and `pad_token` the id that fills up short texts, which the module
    must mask by itself. The module gives a tensor (B, D), or a tuple whose element `output` is one. The file keeps the
    state of evaluation (no dropout); the module is left as it was.

    Raises InvalidArgument for an example or option that does not fit; FormatError where the module cannot be traced,
    uses an operator that the libtorch of this build lacks (named, with the remedy), or gives other vectors there, or
    for another batch size than the example's; IoError where `folder` cannot be written or is not empty.
    """
    import torch  # noqa: PLC0415  exporting is the one thing that needs pip's torch

    from matinee import _core  # noqa: PLC0415  the store is used where the core cannot be loaded, too

    where, target = "export_torchscript", Path(folder)
    if _core.torch_source == "off":
        raise NotFound(f"{where}: this build has no libtorch to check the file with; build with -DMATINEE_TORCH=system")
    kind = _kind(example, where)
    facts: dict[str, Any] = {"name": name or target.name, "kind": kind, "family": "torchscript", "file": _FILE}
    with new_folder(target, where) as scratch:
        if kind == "image":
            _put_preprocessor(scratch, preprocessor, example, where)
            highest = 0
        else:
            size = _put_vocabulary(scratch, vocabulary, lowercase, where)
            highest = size - 1
            facts |= {"max_tokens": int(example.shape[1]), "vocabulary": size, "lowercase": lowercase}
            facts |= {"pad_token": pad_token}
        training = module.training
        module.eval()
        try:
            with torch.no_grad():
                _trace(module, example, scratch / _FILE, where)
                cases = _cases(module, example, highest, output, where)
        finally:
            module.train(training)
        found = _check_elsewhere(scratch / _FILE, cases, output)
        facts |= {"dimension": int(cases["expected_0"].shape[1]), "output": output}
        if kind == "text":
            facts["any_length"] = found["any_length"]
        with disk_errors(f"{where}: writing {target}"):
            (scratch / "matinee.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    any_length = bool(found["any_length"])
    return Exported(target, kind, facts["dimension"], any_length, found["libtorch"], found["difference"])


def export_transformers(source: str | Path, folder: str | Path, *, name: str | None = None) -> Exported:
    """Writes the model folder `folder` from a folder that the transformers library wrote (`save_pretrained`).

    A text model needs vocab.txt (WordPiece); its vector is the mean of its tokens', or the first token's where
    1_Pooling/config.json says so. An image model needs preprocessor_config.json; its vector is the pooled output.
    Attention is exported in its eager form, which old libtorches run. Nothing is downloaded. Raises as
    `export_torchscript` does, and NotFound or FormatError for a folder that transformers does not understand.
    """
    import torch  # noqa: PLC0415
    from transformers import AutoConfig, AutoModel  # noqa: PLC0415

    from matinee import _core  # noqa: PLC0415

    source = Path(source)
    if not (source / "config.json").is_file():
        raise NotFound(f"export_transformers: source: expected a folder with config.json, found none at {source}")
    try:
        config = AutoConfig.from_pretrained(source, local_files_only=True)
        model = AutoModel.from_pretrained(
            source, attn_implementation="eager", dtype=torch.float32, local_files_only=True
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise FormatError(f"export_transformers: {source}: transformers cannot load it: {error}") from error
    if hasattr(config, "text_config") and hasattr(config, "vision_config"):
        raise FormatError(
            f"export_transformers: {source}: expected a network of images or of texts, got {config.model_type}, which "
            "is both; `matinee models import` takes a CLIP"
        )

    class TextVectors(torch.nn.Module):
        def __init__(self, first_token: bool, pad: int) -> None:
            super().__init__()
            self.model, self.first_token, self.pad = model, first_token, pad

        def forward(self, token_ids: Any) -> Any:  # (B, T) -> (B, D)
            mask = token_ids.ne(self.pad).long()
            states = self.model(input_ids=token_ids, attention_mask=mask, return_dict=False)[0]  # (B, T, D)
            if self.first_token:
                return states[:, 0]
            weights = mask.unsqueeze(-1).to(states.dtype)
            return (states * weights).sum(1) / weights.sum(1).clamp(min=1)

    class ImageVectors(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixels: Any) -> Any:  # (B, 3, H, W) -> (B, D)
            given = self.model(pixel_values=pixels)
            pooled = getattr(given, "pooler_output", None)
            return (given.last_hidden_state.mean(1) if pooled is None else pooled).flatten(1)

    if (source / "preprocessor_config.json").is_file():
        pictures = _core.Preprocessor.from_folder(source)
        example = torch.zeros(2, 3, pictures.height, pictures.width)
        preprocessor = source / "preprocessor_config.json"
        return export_torchscript(ImageVectors(), example, folder, name=name, preprocessor=preprocessor)
    vocabulary = source / "vocab.txt"
    if not vocabulary.is_file():
        raise NotFound(
            f"export_transformers: {source}: expected vocab.txt (texts, WordPiece) or preprocessor_config.json "
            "(images); other tokenizers are not read"
        )
    pad = config.pad_token_id or 0
    length = min(_LONGEST_TEXT, int(getattr(config, "max_position_embeddings", _LONGEST_TEXT)))
    length = min(length, int(_setting(source, "sentence_bert_config.json", "max_seq_length", length)))
    lowercase = bool(_setting(source, "tokenizer_config.json", "do_lower_case", True))
    first_token = bool(_setting(source, "1_Pooling/config.json", "pooling_mode_cls_token", False))
    example = torch.ones(2, length, dtype=torch.int64)
    return export_torchscript(
        TextVectors(first_token, pad), example, folder, name=name, vocabulary=vocabulary, lowercase=lowercase,
        pad_token=pad,
    )  # fmt: skip


def load_source(source: str) -> tuple[Any, Any]:
    """What ``package.module:callable`` returns: a torch.nn.Module and an example input. Raises InvalidArgument."""
    where = f"models export: source: {source}"
    path, _, attribute = source.partition(":")
    if not path or not attribute:
        raise InvalidArgument(f"{where}: expected package.module:callable, or a folder of the transformers library")
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` does
    try:
        made = getattr(importlib.import_module(path), attribute)()
    except (ImportError, AttributeError) as error:
        raise InvalidArgument(f"{where}: cannot be imported: {error}") from error
    finally:
        sys.path.pop(0)
    if not (isinstance(made, tuple) and len(made) == 2):
        raise InvalidArgument(f"{where}: expected it to return (torch.nn.Module, example), got {type(made).__name__}")
    return made


def _kind(example: Any, where: str) -> str:
    shape, dtype = tuple(getattr(example, "shape", ())), str(getattr(example, "dtype", type(example).__name__))
    if dtype == "torch.float32" and len(shape) == 4 and shape[1] == 3:
        return "image"
    if dtype == "torch.int64" and len(shape) == 2:
        return "text"
    raise InvalidArgument(
        f"{where}: example: expected a tensor (B, 3, H, W) float32 of images or (B, T) int64 of token ids, got "
        f"{shape} {dtype}"
    )


def _put_preprocessor(scratch: Path, given: Mapping[str, Any] | Path | None, example: Any, where: str) -> None:
    from matinee import _core  # noqa: PLC0415

    if given is None:
        raise InvalidArgument(f"{where}: preprocessor: expected the preprocessor_config.json of an image network")
    target = scratch / "preprocessor_config.json"
    with disk_errors(f"{where}: preprocessor"):
        if isinstance(given, Path):
            shutil.copyfile(given, target)
        else:
            target.write_text(json.dumps(dict(given), indent=2) + "\n", encoding="utf-8")
    preprocessor = _core.Preprocessor.from_folder(scratch)
    size = (preprocessor.height, preprocessor.width)
    if size != tuple(example.shape[2:]):
        raise InvalidArgument(
            f"{where}: preprocessor: expected images of {example.shape[2]} x {example.shape[3]} as the example's, got "
            f"{size[0]} x {size[1]}"
        )


def _put_vocabulary(scratch: Path, given: Path | None, lowercase: bool, where: str) -> int:
    """Copies vocab.txt and returns how many tokens it names."""
    from matinee import _core  # noqa: PLC0415

    if given is None:
        raise InvalidArgument(f"{where}: vocabulary: expected the vocab.txt of a text network")
    with disk_errors(f"{where}: vocabulary"):
        shutil.copyfile(given, scratch / "vocab.txt")
    return _core.WordPiece(scratch / "vocab.txt", lowercase=lowercase, max_tokens=_LONGEST_TEXT).vocabulary_size


def _trace(module: Any, example: Any, path: Path, where: str) -> None:
    import torch  # noqa: PLC0415

    try:
        with warnings.catch_warnings():
            # that the trace holds for other sizes is not guessed from the code but tried, on several
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
            traced = torch.jit.freeze(torch.jit.trace(module, example, check_trace=False))  # type: ignore[no-untyped-call]
    except Exception as error:  # whatever the module's own code raises
        raise FormatError(f"{where}: the module cannot be traced on the example: {_first_line(error)}") from error
    with disk_errors(f"{where}: writing {path.name}"):
        torch.jit.save(traced, str(path))


def _cases(module: Any, example: Any, highest: int, output: int, where: str) -> Arrays:
    """Inputs of several batch sizes and the vectors that the module itself gives for them.

    Of token ids (0 .. `highest`) there are shorter inputs too, after the others, if the module takes them.
    """
    rng = np.random.default_rng(5)
    shape = tuple(example.shape[1:])

    def vectors(batch: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        return _vectors(module, batch, output, where)

    inputs: list[npt.NDArray[Any]]
    if len(shape) == 3:
        inputs = [rng.normal(size=(batch, *shape)).astype(np.float32) for batch in (1, 2, 5)]
    else:
        inputs = [rng.integers(0, highest + 1, (batch, *shape)) for batch in (1, 2, 5)]
    expected = [vectors(batch) for batch in inputs]
    if len(shape) == 1:
        lengths = sorted({(shape[0] + 1) // 2, max(1, shape[0] - 1), min(7, shape[0])} - {shape[0]})
        shorter = [rng.integers(0, highest + 1, (batch, n)) for batch, n in zip((1, 2, 5), lengths, strict=False)]
        with contextlib.suppress(InvalidArgument):  # a module of one length only
            found = [vectors(batch) for batch in shorter]
            inputs, expected = inputs + shorter, expected + found
    return {
        **{f"input_{number}": batch for number, batch in enumerate(inputs)},
        **{f"expected_{number}": found for number, found in enumerate(expected)},
    }


def _vectors(module: Any, batch: npt.NDArray[Any], output: int, where: str) -> npt.NDArray[np.float32]:
    """What the module gives for a batch; raises InvalidArgument where that is no (B, D)."""
    import torch  # noqa: PLC0415

    try:
        given = module(torch.from_numpy(batch))
    except Exception as error:  # whatever the module's own code raises
        got = _first_line(error)
        raise InvalidArgument(f"{where}: the module fails on an input of shape {batch.shape}: {got}") from error
    outputs = list(given) if isinstance(given, tuple | list) else [given]
    if output >= len(outputs) or not torch.is_tensor(outputs[output]) or outputs[output].ndim != 2:
        shapes = [tuple(o.shape) if torch.is_tensor(o) else type(o).__name__ for o in outputs]
        raise InvalidArgument(f"{where}: module, output: expected output {output} to be a tensor (B, D), got {shapes}")
    found: npt.NDArray[np.float32] = outputs[output].float().numpy()
    return found


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def _check_elsewhere(path: Path, cases: Arrays, output: int) -> dict[str, Any]:
    """Runs the file in a process without pip's torch and compares; raises FormatError where it differs."""
    with tempfile.TemporaryDirectory() as scratch:
        np.savez(Path(scratch) / "cases.npz", **cases)  # type: ignore[arg-type]
        command = [sys.executable, "-m", "matinee.models.export_check", str(path), f"{scratch}/cases.npz", str(output)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise FormatError(f"export_torchscript: the process that checks the file failed: {last[:400]}")
    found: dict[str, Any] = json.loads(done.stdout)
    if "error" in found:
        raise FormatError(f"export_torchscript: {found['error'].replace(str(path), path.name)}")
    if not found["difference"] <= TOLERANCE:
        raise FormatError(
            f"export_torchscript: on libtorch {found['libtorch']} the vectors of a batch of {found['batch']} differ by "
            f"{found['difference']:.2g} of the largest value; does the module depend on the batch's size, or on chance?"
        )
    return found


def _setting(source: Path, file: str, name: str, default: Any) -> Any:
    """A value of one of the small JSON files beside a model, where it is there."""
    try:
        return json.loads((source / file).read_text(encoding="utf-8")).get(name, default)
    except FileNotFoundError:
        return default
    except (OSError, ValueError, AttributeError) as error:
        raise FormatError(f"export_transformers: {source / file}: cannot be read: {error}") from error
