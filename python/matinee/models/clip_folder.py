"""Makes a model folder of a CLIP that somebody downloaded or fine-tuned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matinee.errors import FormatError, NotFound
from matinee.models.brought import new_folder
from matinee.models.convert import link_or_copy
from matinee.models.open_clip import CONFIG, WEIGHTS, OpenClipConfig, convert_weights
from matinee.models.sources import disk_errors

_TOKENIZER = ("vocab.json", "merges.txt")
_TRANSFORMERS = ("config.json", "preprocessor_config.json", "model.safetensors")


def import_clip(source: str | Path, folder: str | Path, *, name: str | None = None) -> Path:
    """Writes the new model folder `folder` from a CLIP in the layout of transformers or of open_clip; returns it.

    `source` holds config.json, preprocessor_config.json and model.safetensors (transformers), or open_clip_config.json
    and open_clip_model.safetensors (open_clip, with OpenAI's names of the tensors), and vocab.json and merges.txt in
    either case. A folder with both layouts, as LAION's repositories are, is read in that of transformers. Values are
    not changed, so both give the same vectors. Under a folder of MATINEE_MODELS the result is found by its name.

    Raises NotFound for a missing file; FormatError, naming field or tensor, where a file is damaged, another one
    contradicts it, or the engine does not compute what it asks for; IoError where `folder` cannot be written or is not
    empty.
    """
    from matinee import _core  # noqa: PLC0415  the store is used where the core cannot be loaded, too

    source, target = Path(source), Path(folder)
    transformers = all((source / file).is_file() for file in _TRANSFORMERS)
    if not transformers and not (source / CONFIG).is_file():
        layouts = f"{', '.join(_TRANSFORMERS)} (transformers) or {CONFIG}, {WEIGHTS} (open_clip)"
        raise NotFound(f"import_clip: source: expected a folder with {layouts}, got {source}")
    for file in _TOKENIZER:
        if not (source / file).is_file():
            raise NotFound(f"import_clip: {source / file}: no such file; that of any CLIP with this tokenizer will do")
    with new_folder(target, "import_clip") as scratch:
        with disk_errors(f"import_clip: writing {target}"):
            for file in (*_TOKENIZER, *(_TRANSFORMERS if transformers else ())):
                link_or_copy((source / file).resolve(), scratch / file)
        if transformers:
            dimension = _dimension(source / "config.json")
        else:
            config = OpenClipConfig.read(source / CONFIG)
            dimension = config.model_cfg.embed_dim
            _write(scratch / "config.json", config.config())
            _write(scratch / "preprocessor_config.json", config.preprocessor_config(source / CONFIG))
            convert_weights(source / WEIGHTS, config, scratch / "model.safetensors")
        facts = {"name": name or target.name, "kind": "joint", "family": "clip"}
        _write(scratch / "matinee.json", {**facts, "dimension": dimension, "normalize": True})
        # Read as Encoder.load will: what does not fit together never gets the name.
        try:
            _core.Preprocessor.from_folder(scratch)
            _core.ClipBpe(scratch)
            _core.VisionTransformer.load(scratch, "fp32")
            _core.TokenEncoder.load(scratch, "fp32")
        except FormatError as error:
            raise FormatError(f"import_clip: {source}: {str(error).replace(f'{scratch}/', '')}") from error
    return target


def _dimension(path: Path) -> Any:
    """projection_dim of config.json, which the core checks when it reads the rest."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))["projection_dim"]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path}: projection_dim: expected the configuration of a CLIP: {error!r}") from error


def _write(path: Path, document: dict[str, Any]) -> None:
    with disk_errors(f"import_clip: writing {path.name}"):
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
