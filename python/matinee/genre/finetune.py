"""Fine-tunes the last blocks of the poster encoder on genres, and writes the whole network as a model folder.

What the frozen blocks make of a poster never changes: it is computed once, kept on disk, and an epoch costs the last
blocks alone. `matinee.genre.tuned` asks the network. Needs PyTorch and the port of EfficientNet-Lite whose weights the
model store has (the extra `train`); nothing that serves imports this.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from matinee import _core
from matinee.bundle.poster_view import poster_view
from matinee.errors import InvalidArgument, NotFound
from matinee.evaluation.metrics import mean_average_precision
from matinee.genre.fit_experts import folds_of
from matinee.genre.labels import COURSE_GENRES, head_name, single_label
from matinee.genre.tuned import HEAD, SINGLE_HEAD
from matinee.heads.head import Head
from matinee.heads.split import parts_of
from matinee.heads.stack import stack_exclusive, stack_independent
from matinee.models import export_torchscript, resolve
from matinee.models.brought import new_folder

if TYPE_CHECKING:
    from matinee.bundle.opened import Bundle

Progress = Callable[[str, int, int | None], None]

_POSTERS_A_STEP = 16
_MIN_CHOOSING = 10  # validation films that an epoch is chosen on


@dataclass(frozen=True)
class Tuning:
    """How much of the network learns, and how."""

    blocks: int = 4  # the last ones of 16; the head convolution learns, too
    epochs: int = 6
    batch: int = 64
    rate: float = 3e-4  # of the blocks; the new layer learns ten times as fast
    decay: float = 0.05
    dropout: float = 0.5  # before the new layer
    mixup: float = 0.4  # of the Beta distribution that pairs of films are mixed by (Zhang et al., 2018)
    mirrored: bool = False  # whether to learn from mirrored posters, too: twice the first pass and disk
    average: float = 0.99  # share of the old in the running mean of the weights that is kept, a step


@dataclass(frozen=True)
class LabelledPosters:
    """N films with posters that are not for testing."""

    ids: Sequence[str]
    read: Callable[[int], bytes]  # the poster of a film, by its place
    labels: Sequence[str]
    truth: NDArray[np.bool_]  # (N, L)
    single: Sequence[str | None]  # the one label of the course's ten, where it is known
    demo: bool

    @classmethod
    def of(cls, bundle: Bundle) -> LabelledPosters:
        """Those that the bundle's own poster head could learn from, over its labels. Raises NotFound without one."""
        name = head_name("poster", "multi")
        labels = next((card.labels for card in bundle.cards if card.name == name), None)
        if labels is None:
            raise NotFound(f"fine_tune: this bundle has no {name}, whose labels are to be learned")
        every = zip(bundle.films(), parts_of(film.id for film in bundle.films()), strict=True)
        films = [film for film, part in every if film.has_poster and film.genres and part != "test"]
        return cls(
            ids=[film.id for film in films],
            read=lambda place: bundle.poster(films[place].id)[0],
            labels=labels,
            truth=np.array([[label in film.genres for label in labels] for film in films], dtype=bool),
            single=[single_label(film.single_genre, film.genres)[0] for film in films],
            demo=bundle.demo,
        )


@dataclass(frozen=True)
class Tuned:
    """What `fine_tune` wrote."""

    path: Path
    network: Any  # torch.nn.Module: pixels (B, 3, H, W) -> logits (B, L)
    scores: Sequence[float]  # mAP on the validation films, epoch by epoch; the best epoch is kept


def fine_tune(
    films: LabelledPosters,
    out: str | Path,
    *,
    image_model: str = "efficientnet-lite0",
    tuning: Tuning | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Tuned:
    """Fits the last blocks on the training part of the films and writes the new model folder `out`.

    The validation part, which the network never learns from, chooses the epoch, the calibration and the thresholds. The
    frozen posters take 19 kB each and view on disk beside `out` meanwhile. Raises InvalidArgument for another family of
    encoder or too few films, IoError where `out` is not empty, and what `export_torchscript` raises.
    """
    import torch  # noqa: PLC0415  the extra `train`

    tuning, tell = tuning or Tuning(), progress or (lambda step, done, total: None)
    out, folder = Path(out), resolve(image_model)
    parts = parts_of(films.ids)
    if min(int((parts == "train").sum()), int((parts == "validation").sum())) < _MIN_CHOOSING:
        raise InvalidArgument(
            f"fine_tune: films: expected {_MIN_CHOOSING} for training and for validation each, got {len(films.ids)} in "
            "all; build a bundle of more films with posters and genres"
        )
    torch.manual_seed(seed)
    front, back = _halves(folder, tuning, len(films.labels))
    with (
        new_folder(out, "fine_tune") as finished,
        tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch,
    ):
        seen = _see(front, films, folder, Path(scratch) / "seen.npy", mirrored=tuning.mirrored, tell=tell)
        train, validation = parts == "train", parts == "validation"
        back, scores = fit_last_blocks(
            back, seen, truth=films.truth, train=train, validation=validation, tuning=tuning, tell=tell
        )
        choosing = np.flatnonzero(validation)
        heads = _heads(films, choosing, ask(back, seen, choosing))
        network, edge = torch.nn.Sequential(front, back), _core.Preprocessor.from_folder(folder).height
        pixels = folder / "preprocessor_config.json"
        export_torchscript(network, torch.zeros(2, 3, edge, edge), finished, name=out.name, preprocessor=pixels)
        for name, head in heads.items():
            (finished / name).write_bytes(head.to_bytes())
    return Tuned(out, network, scores)


def _halves(folder: Path, tuning: Tuning, num_labels: int) -> tuple[Any, Any]:
    """The frozen part (pixels to activations) and the part that learns (activations to logits)."""
    import torch  # noqa: PLC0415
    from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415
    from safetensors.torch import load_file  # noqa: PLC0415

    family = json.loads((folder / "matinee.json").read_bytes()).get("family")
    if family != "efficientnet-lite":
        raise InvalidArgument(f"fine_tune: image_model: expected one of the family efficientnet-lite, got {family!r}")
    variant = json.loads((folder / "config.json").read_bytes())["variant"]
    net = EfficientNet.from_name(f"efficientnet-{variant}")
    net.load_state_dict(load_file(folder / "model.safetensors"))
    if not 0 < tuning.blocks < len(net._blocks):
        raise InvalidArgument(f"fine_tune: blocks: expected 1 to {len(net._blocks) - 1}, got {tuning.blocks}")
    cut = len(net._blocks) - tuning.blocks
    front = torch.nn.Sequential(net._conv_stem, net._bn0, torch.nn.ReLU6(), *net._blocks[:cut])
    back = torch.nn.Sequential(
        *net._blocks[cut:],
        torch.nn.Sequential(net._conv_head, net._bn1, torch.nn.ReLU6()),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Dropout(tuning.dropout),
        torch.nn.Linear(net._conv_head.out_channels, num_labels),
    )
    return front.eval().requires_grad_(False), back.eval()


def _see(
    front: Any, films: LabelledPosters, folder: Path, file: Path, *, mirrored: bool, tell: Progress
) -> NDArray[np.float16]:
    """(views, N, C, h, w) what the frozen part makes of every poster."""
    import torch  # noqa: PLC0415

    preprocessor = _core.Preprocessor.from_folder(folder, squash=True)
    example = torch.zeros(1, 3, preprocessor.height, preprocessor.width)
    with torch.inference_mode():
        jit: Any = torch.jit  # it has no types
        quick = jit.freeze(jit.trace(front, example))  # batch norms folded into the convolutions
        shape = (2 if mirrored else 1, len(films.ids), *quick(example).shape[1:])
        seen = np.lib.format.open_memmap(file, mode="w+", dtype=np.float16, shape=shape)
        for begin in range(0, len(films.ids), _POSTERS_A_STEP):
            rows = range(begin, min(begin + _POSTERS_A_STEP, len(films.ids)))
            pixels, errors = preprocessor.run([poster_view(_core.decode_rgb(films.read(row))) for row in rows])
            for error in errors:
                if error is not None:
                    raise error
            given = torch.from_numpy(pixels).contiguous(memory_format=torch.channels_last)
            for view, looked in enumerate((given, given.flip(3)) if mirrored else (given,)):
                seen[view, rows.start : rows.stop] = quick(looked).numpy()
            tell("see posters", rows.stop, len(films.ids))
    return seen


def fit_last_blocks(
    back: Any,
    seen: NDArray[np.float16],
    *,
    truth: NDArray[np.bool_],
    train: NDArray[np.bool_],
    validation: NDArray[np.bool_],
    tuning: Tuning,
    tell: Progress = lambda step, done, total: None,
) -> tuple[Any, list[float]]:
    """(the part that learns with the weights of its best epoch, mAP on the validation films epoch by epoch).

    seen: (views, N, C, h, w); truth (N, L); train, validation (N,).
    """
    import torch  # noqa: PLC0415
    from torch.optim import swa_utils  # noqa: PLC0415

    averages: Any = swa_utils  # it has no types
    averaged = averages.AveragedModel(back, multi_avg_fn=averages.get_ema_multi_avg_fn(tuning.average))
    with torch.no_grad():  # what is rare stays rare until something speaks for it
        share = torch.from_numpy(truth[train].mean(axis=0)).clamp(1e-3, 1 - 1e-3).float()
        back[-1].bias.copy_(torch.logit(share))
        back[-1].weight.mul_(0.1)
    groups = [
        {"params": back[:-1].parameters(), "lr": tuning.rate},
        {"params": back[-1].parameters(), "lr": 10 * tuning.rate},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=tuning.decay)
    rows, choosing = np.flatnonzero(train), np.flatnonzero(validation)
    steps = tuning.epochs * -(-len(rows) // tuning.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [group["lr"] for group in groups], total_steps=steps, pct_start=0.2
    )
    loss, wanted = torch.nn.BCEWithLogitsLoss(), torch.from_numpy(truth.astype(np.float32))
    chance = np.random.default_rng(torch.initial_seed())
    scores: list[float] = []
    best = None
    for epoch in range(tuning.epochs):
        order = chance.permutation(rows)
        back[-2].train()  # the dropout; batch norms keep what they know
        for begin in range(0, len(order), tuning.batch):
            batch = order[begin : begin + tuning.batch]
            views = chance.integers(0, len(seen), len(batch))
            inputs, targets = torch.from_numpy(seen[views, batch]).float(), wanted[batch]
            share_of_own = float(chance.beta(tuning.mixup, tuning.mixup)) if tuning.mixup else 1.0
            other = torch.from_numpy(chance.permutation(len(batch)))
            inputs = torch.lerp(inputs[other], inputs, share_of_own)
            targets = torch.lerp(targets[other], targets, share_of_own)
            optimiser.zero_grad()
            loss(back(inputs.contiguous(memory_format=torch.channels_last)), targets).backward()
            optimiser.step()
            schedule.step()
            averaged.update_parameters(back)
            tell(f"fit the last blocks, epoch {epoch + 1}", begin + len(batch), len(order))
        averaged.eval()
        scores.append(mean_average_precision(truth[choosing], ask(averaged.module, seen, choosing)))
        if scores[-1] >= max(scores):
            best = copy.deepcopy(averaged.module)
    return best, scores


def ask(back: Any, seen: NDArray[np.float16], rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """(B, L) logits of some films as they are served: of the poster as it is."""
    import torch  # noqa: PLC0415

    back.eval()
    with torch.inference_mode():
        steps = [rows[begin : begin + 64] for begin in range(0, len(rows), 64)]
        return np.concatenate([back(torch.from_numpy(seen[0, step]).float()).numpy() for step in steps])


def _heads(films: LabelledPosters, rows: NDArray[np.intp], logits: NDArray[np.float32]) -> dict[str, Head]:
    """Calibrated heads on the network's logits (B, L) of films that it has not learned from."""
    multi = stack_independent("genre-poster-tuned-multi", logits, films.truth[rows], films.labels, demo=films.demo)
    heads = {HEAD: multi.head}
    singles = [films.single[row] for row in rows.tolist()]
    labels = [label for label in COURSE_GENRES if singles.count(label) > 1]
    known = np.array([label in labels for label in singles], dtype=bool)
    if len(labels) > 1 and int(known.sum()) >= _MIN_CHOOSING:
        heads[SINGLE_HEAD] = stack_exclusive(
            "genre-poster-tuned-single",
            logits[known],
            np.array([labels.index(label) for label in singles if label in labels]),
            folds_of([films.ids[row] for row in rows[known].tolist()]),
            labels,
            demo=films.demo,
            trusted=np.ones(int(known.sum()), dtype=bool),
        ).head
    return heads
