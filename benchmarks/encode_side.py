"""One side of the encoding benchmark, in a process of its own: ``python -m benchmarks.encode_side JOB.json``.

Prepares and warms up, tells in a line how much memory it has taken, then makes one timed pass for every line it reads
and answers with the seconds it took. A pass is one slice of the items, the next of them every time; the first slice is
the warm-up too, and its vectors are saved, so that sides can be compared. Peers are used
as their own users would use them: texts sorted by length before they are batched, the fast tokenizer on all threads,
Pillow decoding on all threads while the network runs; PyTorch with channels-last images in inference mode, ONNX Runtime
and OpenVINO with the network exported to ONNX, OpenVINO with the shape fixed where every call has the same.
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

Encode = Callable[[Any], np.ndarray]  # items to vectors (B, D)
Network = Callable[..., np.ndarray]  # arrays of a batch to vectors (B, D)


def matinee_texts(job: dict[str, Any]) -> Encode:
    import matinee

    encoder = matinee.Encoder.load(Path(job["folder"]), job["precision"])
    assert isinstance(encoder, matinee.TextEncoder)
    return in_calls(job, encoder.encode)


def matinee_images(job: dict[str, Any]) -> Encode:
    import matinee

    encoder = matinee.Encoder.load(Path(job["folder"]), job["precision"])
    assert isinstance(encoder, matinee.ImageEncoder)

    def run(images: list[bytes]) -> np.ndarray:
        encoded = encoder.encode(images)
        assert encoded.errors == [None] * len(images)
        return encoded.vectors

    return run


def matinee_pixels(job: dict[str, Any]) -> Encode:
    from matinee import _core

    tower = _core.VisionTransformer.load(Path(job["folder"]), job["precision"])
    return in_calls(job, tower.features)


def in_calls(job: dict[str, Any], encode: Encode) -> Encode:
    """The items in calls of the job's size; all in one where it has none."""

    def run(items: Any) -> np.ndarray:
        size = job["call_size"] or len(items)
        return np.concatenate([encode(items[i : i + size]) for i in range(0, len(items), size)])

    return run


def peer_texts(job: dict[str, Any], network: Network) -> Encode:
    from tokenizers import BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer(str(Path(job["folder"]) / "vocab.txt"), lowercase=True)
    tokenizer.enable_truncation(256)

    def encode(some: list[str]) -> np.ndarray:
        encodings = tokenizer.encode_batch(some)
        order = sorted(range(len(some)), key=lambda i: len(encodings[i].ids))
        vectors = []
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            ids = np.zeros((len(rows), len(encodings[rows[-1]].ids)), np.int64)
            mask = np.zeros_like(ids)
            for row, text in enumerate(rows):
                tokens = encodings[text].ids
                ids[row, : len(tokens)] = tokens
                mask[row, : len(tokens)] = 1
            vectors.append(network(ids, mask))
        return np.concatenate(vectors)[np.argsort(order)]

    return in_calls(job, encode)


def peer_images(job: dict[str, Any], network: Network) -> Encode:
    from PIL import Image

    config = json.loads((Path(job["folder"]) / "preprocessor_config.json").read_text(encoding="utf-8"))
    edge, crop = config["size"]["shortest_edge"], config["crop_size"]["height"]
    mean, std = np.float32(config["image_mean"]), np.float32(config["image_std"])
    scale, shift = 1 / (255 * std), -mean / std

    def pixels(data: bytes) -> np.ndarray:  # (3, H, W), in the order of memory that the network wants
        image = Image.open(io.BytesIO(data)).convert("RGB")
        short, long = sorted(image.size)
        other = edge * long // short
        image = image.resize((edge, other) if image.width <= image.height else (other, edge), Image.Resampling.BICUBIC)
        left, top = (image.width - crop) // 2, (image.height - crop) // 2
        values = np.asarray(image.crop((left, top, left + crop, top + crop)), np.float32)
        values *= scale
        values += shift
        planes = values.transpose(2, 0, 1)
        return planes if job["side"] == "torch" else np.ascontiguousarray(planes)

    def batch(planes: list[np.ndarray]) -> np.ndarray:
        if job["side"] == "torch":  # channels last: stacked as they lie
            return np.stack([plane.transpose(1, 2, 0) for plane in planes]).transpose(0, 3, 1, 2)
        return np.stack(planes)

    def run(images: list[bytes]) -> np.ndarray:
        chunks = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
        features = []
        with ThreadPoolExecutor(job["threads"]) as decoders:
            coming = [decoders.submit(pixels, data) for data in chunks[0]]
            for number in range(len(chunks)):
                inputs = batch([future.result() for future in coming])
                if number + 1 < len(chunks):
                    coming = [decoders.submit(pixels, data) for data in chunks[number + 1]]
                features.append(network(inputs))
        return np.concatenate(features)

    return run


def peer_pixels(job: dict[str, Any], network: Network) -> Encode:
    return in_calls(job, network)


def torch_network(job: dict[str, Any]) -> Network:
    import torch

    from benchmarks.torch_networks import load

    torch.set_num_threads(job["threads"])
    dtype = torch.bfloat16 if job["precision"] == "bf16" else torch.float32
    module: Any = load(job["network"], Path(job["folder"])).to(dtype)
    if job["kind"] == "images":
        module = module.to(memory_format=torch.channels_last)

    def run(*arrays: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            tensors = [torch.from_numpy(array) for array in arrays]
            vectors: np.ndarray = module(*(t.to(dtype) if t.is_floating_point() else t for t in tensors)).numpy()
        return vectors

    return run


def onnxruntime_network(job: dict[str, Any]) -> Network:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    session = onnxruntime.InferenceSession(job["onnx"], options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def run(*arrays: np.ndarray) -> np.ndarray:
        vectors: np.ndarray = session.run(None, dict(zip(names, arrays, strict=True)))[0]
        return vectors

    return run


def openvino_network(job: dict[str, Any]) -> Network:
    import openvino

    core = openvino.Core()
    model = core.read_model(job["onnx"])
    if job["kind"] == "pixels":
        model.reshape([job["call_size"], 3, 224, 224])
    options = {
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[job["precision"]],
        "INFERENCE_NUM_THREADS": job["threads"],
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(model, "CPU", options).create_infer_request()

    def run(*arrays: np.ndarray) -> np.ndarray:
        vectors: np.ndarray = request.infer(arrays, share_inputs=True)[0]
        return vectors

    return run


OURS: dict[str, Callable[[dict[str, Any]], Encode]] = {
    "texts": matinee_texts,
    "images": matinee_images,
    "pixels": matinee_pixels,
}
PEERS: dict[str, Callable[[dict[str, Any], Network], Encode]] = {
    "texts": peer_texts,
    "images": peer_images,
    "pixels": peer_pixels,
}
NETWORKS: dict[str, Callable[[dict[str, Any]], Network]] = {
    "torch": torch_network,
    "onnxruntime": onnxruntime_network,
    "openvino": openvino_network,
}


def prepare(job: dict[str, Any]) -> tuple[Encode, list[Any]]:
    """Loads the job's network and its items, in slices that are alike."""
    source = Path(job["items"])
    items: Any
    if job["kind"] == "texts":
        items = json.loads(source.read_text(encoding="utf-8"))
    elif job["kind"] == "images":
        items = [path.read_bytes() for path in sorted(source.iterdir())]
    else:
        items = np.load(source)
    slices = [items[: job["count"]][number :: job["slices"]] for number in range(job["slices"])]
    if job["side"] == "matinee":
        return OURS[job["kind"]](job), slices
    return PEERS[job["kind"]](job, NETWORKS[job["side"]](job)), slices


def memory() -> dict[str, float]:
    """What this process takes, in MB: resident, and with shared pages counted in proportion; empty but on Linux."""
    file = Path("/proc/self/smaps_rollup")
    if not file.exists():
        return {}
    fields = {words[0]: words[1] for words in map(str.split, file.read_text().splitlines()[1:])}
    return {name: int(fields[f"{name.capitalize()}:"]) * 1024 / 1e6 for name in ("rss", "pss")}


def main() -> None:
    """Serves passes over the networks of its jobs, one after the other, until its input ends."""
    jobs = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    prepared = [prepare(job) for job in jobs]
    for job, (encode, slices) in zip(jobs, prepared, strict=True):
        np.save(job["vectors"], encode(slices[0]))
    print(json.dumps(memory()), flush=True)
    for number, _ in enumerate(sys.stdin):
        start = time.perf_counter()
        for encode, slices in prepared:
            encode(slices[number % len(slices)])
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
