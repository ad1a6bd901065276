"""A learned score is a model like any other: same shapes, same noise, honest derivatives."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import mixdyn
from mixdyn import kernels
from mixdyn.learned import Architecture, LearnedScore, load_checkpoint
from mixdyn.learned.evaluation import TorchNetwork, _block_rows, _pool
from mixdyn.score import checked_eps
from mixdyn.support.errors import InputError
from verify.data.checkpoints import CHECKPOINTS


@pytest.fixture
def score(checkpoint_file):
    return LearnedScore.load(checkpoint_file)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_row_has_the_same_bits_in_any_batch_on_any_number_of_threads(score, precision):
    score = LearnedScore(score.weights, score.schedule, precision=precision)
    x = np.random.default_rng(0).standard_normal((5000, 2))
    x.setflags(write=False)
    whole = score.eps(x, 7)
    assert whole.dtype == np.float64
    assert whole.shape == x.shape
    for cut in (1, 31, 1023, 4090):
        parts = [score.eps(part, 7) for part in np.split(x, [cut])]
        assert np.array_equal(whole, np.concatenate(parts))
    with kernels.threads(1):
        assert np.array_equal(whole, score.eps(x[::-1], 7)[::-1])


def test_cores_share_torchs_blocks_without_changing_a_bit(score):
    x, time = np.random.default_rng(3).standard_normal((5000, 2)), torch.tensor([7])
    blocks = torch.from_numpy(x).float().split(_block_rows(len(x)))
    by_torch = TorchNetwork(score.network)
    assert {len(block) for block in blocks} == {1250}
    alone = torch.cat([_pool().submit(by_torch._infer, b, time).result() for b in blocks])
    assert np.array_equal(by_torch.eps(x, 7), alone.double().numpy())


@pytest.mark.parametrize("path", sorted(CHECKPOINTS.glob("*.safetensors")), ids=lambda p: p.stem)
def test_every_shipped_network_agrees_with_torch_at_all_times_and_far_away(path):
    """In single within 1e-5 of torch's single and of its double (relative to the largest
    prediction), in double with its derivative to rounding."""
    single = LearnedScore.load(path)
    double = single.in_double()
    rng = np.random.default_rng(0)
    torch_single, torch_double = (TorchNetwork(score.network) for score in (single, double))
    for t in np.unique(np.geomspace(1, single.schedule.T, 9).astype(int)).tolist():
        x = np.concatenate([scale * rng.standard_normal((40, single.d)) for scale in (1, 10, 1e4)])
        found, exact = single.eps(x, t), torch_double.eps(x, t)
        size = max(1.0, np.abs(exact).max())
        assert np.abs(found - torch_single.eps(x, t)).max() < 1e-5 * size
        assert np.abs(found - exact).max() < 1e-5 * size
        assert np.abs(double.eps(x, t) - exact).max() < 1e-12 * size
    slopes, found = (one.jacobian(x[:50], 1) for one in (torch_double, double._function))
    assert np.abs(found - slopes).max() < 1e-11 * np.abs(slopes).max()


@pytest.mark.parametrize(
    ("d", "hidden", "blocks"), [(1, 1, 1), (3, 7, 1), (2, 24, 2), (5, 33, 3), (40, 20, 2)]
)
@pytest.mark.parametrize("n", [1, 33, 300])
def test_networks_of_any_shape_agree_with_torch(d, hidden, blocks, n, problem):
    torch.manual_seed(d)
    network = Architecture("mlp", d, hidden, blocks, embedding=6).build(problem[1])
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    single = LearnedScore(network, problem[1])
    x, double = np.random.default_rng(n).standard_normal((n, d)), single.in_double()
    by_torch = TorchNetwork(double.network)
    want, slopes = by_torch.eps(x, 11), by_torch.jacobian(x, 11)
    scale = max(1.0, np.abs(want).max())
    assert np.abs(single.eps(x, 11) - want).max() < 1e-5 * scale
    assert np.abs(double.eps(x, 11) - want).max() < 1e-12 * scale
    # A norm over one or a few features can come close to dividing by nothing.
    error = np.abs(double._function.jacobian(x, 11) - slopes).max()
    assert error < 1e-9 * max(1.0, np.abs(slopes).max())


def test_a_number_that_is_none_spoils_its_own_row_alone(score):
    network, x = score._function, np.random.default_rng(1).standard_normal((50, 2))
    clean = network.eps(x, 5)
    x[17, 1], x[40, 0] = np.nan, np.inf
    spoilt = np.isnan(found := network.eps(x, 5)).all(axis=1)
    assert np.flatnonzero(spoilt).tolist() == [17, 40]
    assert np.array_equal(found[~spoilt], clean[~spoilt])
    assert network.eps(np.empty((0, 2)), 5).shape == (0, 2)


def test_a_shipped_network_runs_without_torch_being_loaded():
    code = (
        "import sys, numpy as np; from mixdyn.learned import LearnedScore; "
        f"score = LearnedScore.load({str(CHECKPOINTS / 'grid-reduced-0.safetensors')!r}); "
        "score.eps(np.zeros((3, 2)), 9); score.in_double().jacobian(np.zeros((3, 2)), 9); "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("n", "rows"), [(1, 1024), (1023, 1024), (1025, 513), (9000, 1500)])
def test_blocks_are_equal_and_not_larger_than_the_cache(n, rows):
    assert _block_rows(n) == rows


def test_the_score_is_minus_eps_over_the_noise(score):
    x = np.ones((3, 2))
    t = 9
    want = -score.eps(x, t) / np.sqrt(1.0 - score.schedule.alpha_bar[t])
    assert np.allclose(score.score(x, t), want, rtol=1e-9, atol=0)


@pytest.mark.parametrize("t", [1, 20, 40])
def test_the_jacobian_is_the_derivative_of_the_score(score, t):
    double = score.in_double()
    x = np.random.default_rng(t).standard_normal((6, 2))
    h = 1e-6
    moved = [double.score(x + h * e, t) - double.score(x - h * e, t) for e in np.eye(2)]
    differences = np.stack(moved, axis=2) / (2 * h)
    jacobian = double.jacobian(x, t)
    assert np.abs(jacobian - differences).max() < 1e-6 * np.abs(jacobian).max()
    # float32 gives the same, to its own precision where torch computes it
    assert np.array_equal(score.jacobian(x, t), jacobian)
    single = TorchNetwork(score.network).jacobian(x, t) / -np.sqrt(score.schedule.noise_var[t])
    assert np.abs(single - jacobian).max() < 1e-4 * np.abs(jacobian).max()


def test_loading_does_not_change_the_network_it_came_from(checkpoint_file):
    loaded = load_checkpoint(checkpoint_file)
    double = LearnedScore(loaded.network, loaded.schedule, precision="float64")
    assert next(loaded.network.parameters()).dtype.itemsize == 4
    single = LearnedScore.of(loaded)
    x = np.random.default_rng(1).standard_normal((50, 2))
    gap = np.abs(single.eps(x, 3) - double.eps(x, 3)).max()
    assert 0.0 < gap < 1e-5


def test_times_and_shapes_out_of_range_are_refused(score):
    for t in (0, 41, 1.5):
        with pytest.raises(InputError, match="t must be an integer"):
            score.eps(np.zeros((1, 2)), t)
    with pytest.raises(InputError, match=r"\(n, 2\)"):
        score.eps(np.zeros((1, 3)), 1)
    with pytest.raises(InputError, match="finite"):
        score.eps([[np.nan, 0.0]], 1)


def test_every_sampler_runs_on_it_and_shares_the_exact_scores_noise():
    """A trained path stays with the exact one of the same noise; paths of other noise do not."""
    score = LearnedScore.load(CHECKPOINTS / "grid-reduced-0.safetensors")
    mixture = mixdyn.presets.grid()
    for sampler in (mixdyn.DDIM(20), mixdyn.DDPM(), mixdyn.Hybrid(5, mixdyn.DDIM(20))):
        learned, again, exact = (
            mixdyn.sample(model, score.schedule, sampler, n=200, rng=5).x
            for model in (score, score, mixture)
        )
        assert np.array_equal(learned, again)
        apart = np.median(np.linalg.norm(learned - exact, axis=1))
        shuffled = np.median(np.linalg.norm(learned - np.roll(exact, 1, axis=0), axis=1))
        assert apart < 0.05 * shuffled


def test_a_model_that_breaks_mid_run_is_reported_with_the_time(problem):
    _, schedule = problem

    class Breaks:
        d = 2

        def eps(self, x, t):
            return x * (np.nan if t == 13 else 0.0)

    with pytest.raises(InputError, match="t = 13"):
        mixdyn.sample(Breaks(), schedule, mixdyn.DDPM(), n=5, rng=0)
    with pytest.raises(InputError, match="shape"):
        checked_eps(Breaks(), np.zeros((2, 2)), 13)


def test_a_gpu_agrees_with_the_cpu(checkpoint_file):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU on this machine")
    x = np.random.default_rng(0).standard_normal((4097, 2))
    cpu, gpu = (LearnedScore.load(checkpoint_file, device=d) for d in ("cpu", "cuda"))
    assert np.abs(cpu.eps(x, 5) - gpu.eps(x, 5)).max() < 1e-5
    assert np.abs(cpu.jacobian(x[:9], 5) - gpu.jacobian(x[:9], 5)).max() < 1e-3
