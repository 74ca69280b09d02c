"""Networks that read poster and plot at once: the published ways of fusing them, to stand beside ours.

They are trained here, on the bundle's own training films and on the plain features of `baselines`, with PyTorch, which
the product does not install: without it these rows are left out, and the report says so. While they learn, one of
the two is sometimes withheld (modality dropout), so that they can be asked with either alone.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from matinee.evaluation.baselines import Answers, Training
from matinee.evaluation.metrics import mean_average_precision
from matinee.evaluation.subject import Progress
from matinee.heads.fit import Scaler, best_f1_thresholds
from matinee.heads.split import parts_of

Floats = NDArray[np.float32]
Fusion = Literal["concatenation network", "gated (GMU)", "attention"]
Asked = Literal["both", "poster", "plot"]
FUSIONS: tuple[Fusion, ...] = ("concatenation network", "gated (GMU)", "attention")
ASKED: tuple[Asked, ...] = ("both", "poster", "plot")

# The best of ten settings of the gated network on 726 real films held back: in its favour, for it is not ours.
_HIDDEN, _EPOCHS, _PATIENCE, _BATCH, _RATE, _DECAY = 256, 80, 20, 128, 1e-3, 1.0
_WITHHELD = 0.1  # how often a film is shown without one of the two
_DROP_INPUT, _DROP_HIDDEN = 0.5, 0.5


@dataclass(frozen=True)
class Pairs:
    """Poster features (B, P) and plot vectors (B, T) of the same films."""

    posters: Floats
    plots: Floats


def torch_is_here() -> bool:
    """Whether PyTorch can be imported. It cannot beside the system's libtorch, which aborts the process."""
    return importlib.util.find_spec("torch") is not None and "matinee.torchscript" not in sys.modules


def fit_fusion(
    fusion: Fusion, films: Training, shown: Pairs, asked: Pairs, *, seed: int, progress: Progress
) -> dict[Asked, Answers]:
    """What a fusion network answers about films `asked` (B), shown both, the poster alone, the plot alone.

    Fitted on the training part of `films` (N) and their features `shown`; the validation part stops it and chooses the
    thresholds, of each way of asking its own.
    """
    import torch  # noqa: PLC0415

    torch.manual_seed(seed)
    torch.set_num_threads(2)
    train = parts_of(films.ids) == "train"
    validation = ~train if (~train).any() else train
    scalers = Scaler.of(shown.posters[train]), Scaler.of(shown.plots[train])

    def tensors(pairs: Pairs, rows: NDArray[np.bool_] | slice) -> list[Any]:
        both = scalers[0](pairs.posters[rows]), scalers[1](pairs.plots[rows])
        return [torch.from_numpy(np.ascontiguousarray(values)) for values in both]

    inputs, held = tensors(shown, train), tensors(shown, validation)
    truth = torch.from_numpy(films.truth[train].astype(np.float32))
    net = _network(fusion, inputs[0].shape[1], inputs[1].shape[1], truth.shape[1])
    optimiser = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, _EPOCHS)
    loss = torch.nn.BCEWithLogitsLoss()
    best, kept, waited = -1.0, None, 0
    for epoch in range(_EPOCHS):
        net.train()
        order = torch.randperm(len(truth))
        for begin in range(0, len(order), _BATCH):
            rows = order[begin : begin + _BATCH]
            dice = torch.rand(len(rows))
            present = torch.stack([dice >= _WITHHELD / 2, dice < 1 - _WITHHELD / 2], dim=1).float()
            optimiser.zero_grad()
            loss(net(inputs[0][rows], inputs[1][rows], present), truth[rows]).backward()
            optimiser.step()
        schedule.step()
        score = mean_average_precision(films.truth[validation], _ask(net, held, "both"))
        progress(f"fit the plain rows: {fusion}", epoch + 1, _EPOCHS)
        if score > best:
            best, waited = score, 0
            kept = {name: value.clone() for name, value in net.state_dict().items()}
        elif (waited := waited + 1) >= _PATIENCE:
            break
    if kept is not None:
        net.load_state_dict(kept)
    questions = tensors(asked, slice(None))
    answers: dict[Asked, Answers] = {}
    for how in ASKED:
        before, scores = _ask(net, held, how), _ask(net, questions, how)
        answers[how] = Answers(scores, scores >= best_f1_thresholds(before, films.truth[validation]))
    return answers


def _ask(net: Any, pairs: list[Any], how: Asked) -> NDArray[np.float64]:
    """(B, L) probabilities."""
    import torch  # noqa: PLC0415

    net.eval()
    present = torch.tensor([[how != "plot", how != "poster"]], dtype=torch.float32).expand(len(pairs[0]), 2)
    with torch.no_grad():
        return np.asarray(torch.sigmoid(net(pairs[0], pairs[1], present)).numpy(), dtype=np.float64)


def _network(fusion: Fusion, num_poster: int, num_plot: int, num_labels: int) -> Any:
    """A module of (posters (B, P), plots (B, T), present (B, 2) in {0, 1}) that gives logits (B, L)."""
    from torch import Tensor, cat, nn, sigmoid, softmax, stack, tanh  # noqa: PLC0415

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop, self.drop_hidden = nn.Dropout(_DROP_INPUT), nn.Dropout(_DROP_HIDDEN)
            self.poster, self.plot = nn.Linear(num_poster, _HIDDEN), nn.Linear(num_plot, _HIDDEN)
            self.gate = nn.Linear(2 * _HIDDEN, _HIDDEN)
            self.say = nn.Linear(_HIDDEN, 1)
            self.out = nn.Linear(2 * _HIDDEN if fusion == "concatenation network" else _HIDDEN, num_labels)

        def forward(self, posters: Tensor, plots: Tensor, present: Tensor) -> Tensor:
            poster = tanh(self.poster(self.drop(posters))) * present[:, :1]
            plot = tanh(self.plot(self.drop(plots))) * present[:, 1:]
            if fusion == "concatenation network":
                hidden = cat([poster, plot], dim=1)
            elif fusion == "gated (GMU)":  # Arevalo et al., "Gated multimodal units for information fusion", 2017
                share = sigmoid(self.gate(cat([poster, plot], dim=1)))
                hidden = share * poster + (1 - share) * plot
            else:  # additive attention over the two (Bahdanau et al., 2015); what is missing is not attended to
                say = cat([self.say(poster), self.say(plot)], dim=1).masked_fill(present == 0, -1e9)
                hidden = (softmax(say, dim=1).unsqueeze(2) * stack([poster, plot], dim=1)).sum(dim=1)
            return self.out(self.drop_hidden(hidden))  # type: ignore[no-any-return]

    return Network()
