"""One side of the encoding benchmark, in a process of its own: ``python -m benchmarks.encode_side JOB.json``.

Prepares and warms up, says "ready", then makes one timed pass for every line it reads and answers with the seconds it
took. The first pass's vectors are saved, so that sides can be compared. Peers are used as their own users would use
them: texts sorted by length before they are batched, the fast tokenizer on all threads, Pillow decoding on all
threads while the network runs, channels-last images, inference mode.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 32

Pass = Callable[[], np.ndarray]


def matinee_texts(job: dict[str, Any], texts: list[str]) -> Pass:
    import matinee

    encoder = matinee.Encoder.load(Path(job["folder"]), job["precision"])
    assert isinstance(encoder, matinee.TextEncoder)
    size = job["call_size"] or len(texts)
    return lambda: np.concatenate([encoder.encode(texts[i : i + size]) for i in range(0, len(texts), size)])


def matinee_images(job: dict[str, Any], images: list[bytes]) -> Pass:
    import matinee

    encoder = matinee.Encoder.load(Path(job["folder"]), job["precision"])
    assert isinstance(encoder, matinee.ImageEncoder)

    def run() -> np.ndarray:
        encoded = encoder.encode(images)
        assert encoded.errors == [None] * len(images)
        return encoded.vectors

    return run


def torch_texts(job: dict[str, Any], texts: list[str]) -> Pass:
    import torch
    import transformers
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertModel

    quiet: Any = transformers.logging
    quiet.set_verbosity_error()
    quiet.disable_progress_bar()
    torch.set_num_threads(job["threads"])
    dtype = torch.bfloat16 if job["precision"] == "bf16" else torch.float32
    model: Any = BertModel.from_pretrained(job["folder"], dtype=dtype)
    model.eval()
    model.pooler = None  # its output is not asked for
    tokenizer = BertWordPieceTokenizer(str(Path(job["folder"]) / "vocab.txt"), lowercase=True)
    tokenizer.enable_truncation(256)

    def encode(some: list[str]) -> np.ndarray:
        encodings = tokenizer.encode_batch(some)
        order = sorted(range(len(some)), key=lambda i: len(encodings[i].ids))
        vectors = np.empty((len(some), model.config.hidden_size), np.float32)
        with torch.inference_mode():
            for start in range(0, len(order), BATCH):
                rows = order[start : start + BATCH]
                longest = len(encodings[rows[-1]].ids)
                ids = torch.zeros(len(rows), longest, dtype=torch.long)
                mask = torch.zeros(len(rows), longest, dtype=torch.long)
                for row, text in enumerate(rows):
                    tokens = encodings[text].ids
                    ids[row, : len(tokens)] = torch.tensor(tokens)
                    mask[row, : len(tokens)] = 1
                states = model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
                kept = mask.unsqueeze(-1)
                pooled = (states * kept).sum(1) / kept.sum(1)
                vectors[rows] = torch.nn.functional.normalize(pooled, dim=1).numpy()
        return vectors

    size = job["call_size"] or len(texts)
    return lambda: np.concatenate([encode(texts[i : i + size]) for i in range(0, len(texts), size)])


def torch_images(job: dict[str, Any], images: list[bytes]) -> Pass:
    import torch
    from efficientnet_lite_pytorch import EfficientNet
    from PIL import Image
    from safetensors.torch import load_file

    torch.set_num_threads(job["threads"])
    dtype = torch.bfloat16 if job["precision"] == "bf16" else torch.float32
    net = EfficientNet.from_name("efficientnet-lite0").eval()
    net.load_state_dict(load_file(Path(job["folder"]) / "model.safetensors"))
    net = net.to(dtype=dtype, memory_format=torch.channels_last)
    config = json.loads((Path(job["folder"]) / "preprocessor_config.json").read_text(encoding="utf-8"))
    edge, crop = config["size"]["shortest_edge"], config["crop_size"]["height"]
    mean, std = np.float32(config["image_mean"]), np.float32(config["image_std"])

    def pixels(data: bytes) -> np.ndarray:
        image = Image.open(io.BytesIO(data)).convert("RGB")
        short, long = sorted(image.size)
        other = edge * long // short
        image = image.resize((edge, other) if image.width <= image.height else (other, edge), Image.Resampling.BICUBIC)
        left, top = (image.width - crop) // 2, (image.height - crop) // 2
        values = np.asarray(image.crop((left, top, left + crop, top + crop)), np.float32) / 255
        return (values - mean) / std

    def run() -> np.ndarray:
        chunks = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
        features = []
        with ThreadPoolExecutor(job["threads"]) as decoders, torch.inference_mode():
            coming = [decoders.submit(pixels, data) for data in chunks[0]]
            for number in range(len(chunks)):
                batch = np.stack([future.result() for future in coming])
                if number + 1 < len(chunks):
                    coming = [decoders.submit(pixels, data) for data in chunks[number + 1]]
                inputs = torch.from_numpy(batch).permute(0, 3, 1, 2).to(dtype)  # channels-last already
                features.append(net.extract_features(inputs).mean((2, 3)).float().numpy())
        return np.concatenate(features)

    return run


SIDES: dict[tuple[str, str], Callable[[dict[str, Any], Any], Pass]] = {
    ("matinee", "texts"): matinee_texts,
    ("matinee", "images"): matinee_images,
    ("torch", "texts"): torch_texts,
    ("torch", "images"): torch_images,
}


def main() -> None:
    """Serves passes until its input ends."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    source = Path(job["items"])
    if job["kind"] == "texts":
        items: Any = json.loads(source.read_text(encoding="utf-8"))
    else:
        items = [path.read_bytes() for path in sorted(source.iterdir())]
    run = SIDES[job["side"], job["kind"]](job, items)
    np.save(job["vectors"], run())  # the warm-up too
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
