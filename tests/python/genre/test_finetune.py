"""Fine-tuning the poster encoder's last blocks: what PyTorch trained is what the core serves.

No process can hold both PyTorch and the system's libtorch, so the training runs in a child.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from matinee import NotFound, _core, open_bundle
from matinee.genre.tuned import TunedPosters, answer_elsewhere
from matinee.heads.head import Head

if _core.torch_source != "system":
    pytest.skip(f"this build has MATINEE_TORCH={_core.torch_source}", allow_module_level=True)
pytest.importorskip("efficientnet_lite_pytorch", reason="the extra train brings PyTorch and the port")

TRAIN = """
    import sys
    import numpy as np, torch
    from pathlib import Path
    from matinee import _core, models, open_bundle
    from matinee.bundle.poster_view import poster_view
    from matinee.genre.finetune import LabelledPosters, Tuning, fine_tune

    torch.set_num_threads(1)
    bundle = open_bundle(Path(sys.argv[1]))
    films = LabelledPosters.of(bundle)
    tuned = fine_tune(films, "tuned", tuning=Tuning(blocks=1, epochs=2, batch=16, mirrored=True))
    assert len(tuned.scores) == 2 and max(tuned.scores) > films.truth.mean(), tuned.scores
    preprocessor = _core.Preprocessor.from_folder(models.resolve("efficientnet-lite0"), squash=True)
    pixels, _ = preprocessor.run([poster_view(_core.decode_rgb(films.read(row))) for row in range(6)])
    with torch.inference_mode():
        logits = tuned.network.eval()(torch.from_numpy(pixels)).numpy()
    np.savez("expected.npz", logits=logits, labels=np.array(films.labels), ids=np.array(films.ids[:6]))
"""


def in_a_process_of_its_own(code: str, bundle: Path, folder: Path) -> None:
    """Runs it in `folder`, the bundle its argument: a process may hold pip's torch or the core's, not both."""
    command = [sys.executable, "-c", textwrap.dedent(code), str(bundle)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def place(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the network `tuned`, and what PyTorch's gives for six posters."""
    folder = tmp_path_factory.mktemp("tuned")
    in_a_process_of_its_own(TRAIN, small_bundle, folder)
    return folder


@pytest.mark.slow
def test_the_core_gives_pytorch_s_logits_for_the_same_posters(place: Path, small_bundle: Path) -> None:
    expected = np.load(place / "expected.npz")
    bundle = open_bundle(small_bundle)
    posters = [bundle.poster(str(film))[0] for film in expected["ids"]]
    answers = answer_elsewhere(place / "tuned", posters, "multi")
    assert answers.labels == tuple(expected["labels"])
    head = Head.load(place / "tuned" / "head.safetensors")
    np.testing.assert_allclose(answers.scores, head.probabilities(expected["logits"]), atol=1e-4)
    np.testing.assert_array_equal(answers.thresholds, head.thresholds)


@pytest.mark.slow
def test_it_stands_beside_ours_in_the_report(place: Path, small_bundle: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from matinee.evaluation.run import evaluate
        report = evaluate(sys.argv[1], ["genre"], tuned=Path("tuned"))
        row = next(r for r in report.rows if r.work == "poster → genres" and r.metric == "mAP")
        assert {"fine-tuned last blocks", "fine-tuned last blocks and ours"} <= set(row.baselines), row
        assert row.baselines["fine-tuned last blocks"] > 0.3, row
    """
    in_a_process_of_its_own(code, small_bundle, place)


def test_a_folder_without_heads_is_no_such_network(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="tune-posters"):
        TunedPosters.load(tmp_path)
