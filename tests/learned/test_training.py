"""Training is a function of its recipe and seed, interrupted or not."""

import os
import signal

import numpy as np
import pytest
import torch

from mixdyn import ExactScore, GaussianMixture, NoiseSchedule, presets
from mixdyn.learned import Recipe, Trainer, train
from mixdyn.learned.objective import NoisyData, Validation, exact_eps, loss
from mixdyn.learned.training import check_device
from mixdyn.support.errors import ConvergenceError, FileError, InputError


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.network.parameters()])


def test_training_lowers_the_excess(problem):
    recipe = Recipe("brief", 400, 256, 1e-2, 1e-4, points=2000, hidden=32, embedding=16)
    seen = []
    trainer = Trainer(*problem, recipe, seed=0)
    untrained = trainer.network(torch.zeros(1, 2), torch.tensor([1]))
    quality = train(trainer, progress=seen.append)
    assert quality.excess < 0.05
    assert quality.loss == pytest.approx(quality.irreducible + quality.excess, rel=0.05)
    assert [report.step for report in seen] == [400]
    assert not torch.equal(untrained, trainer.network(torch.zeros(1, 2), torch.tensor([1])))


def test_equal_seeds_give_equal_networks_and_others_do_not(problem, tiny):
    runs = [Trainer(*problem, tiny, seed) for seed in (1, 1, 2)]
    for run in runs:
        run.advance(20)
    assert torch.equal(weights(runs[0]), weights(runs[1]))
    assert not torch.equal(weights(runs[0]), weights(runs[2]))


def test_building_a_trainer_leaves_the_global_generator_alone(problem, tiny):
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    Trainer(*problem, tiny, seed=0)
    assert torch.equal(torch.rand(3), expected)


def test_a_resumed_run_ends_in_the_same_bits(problem, tiny, tmp_path):
    whole = Trainer(*problem, tiny, seed=4)
    whole.advance(60)
    first = Trainer(*problem, tiny, seed=4)
    first.advance(23)
    first.save_state(tmp_path / "half.safetensors")
    second = Trainer(*problem, tiny, seed=4)
    second.load_state(tmp_path / "half.safetensors")
    assert second.step == 23
    second.advance(1000)
    assert second.finished
    assert torch.equal(weights(whole), weights(second))
    assert second.take_training_loss() == whole.take_training_loss()


def test_an_interrupt_saves_a_whole_step_and_the_run_goes_on(problem, tiny, tmp_path):
    path = tmp_path / "run.partial.safetensors"
    interrupted = Trainer(*problem, tiny, seed=4)
    batch = interrupted.data.batch

    def batch_with_interrupt(size):
        if interrupted.step == 17:
            os.kill(os.getpid(), signal.SIGINT)
        return batch(size)

    interrupted.data.batch = batch_with_interrupt
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(interrupted, partial=path)
    assert signal.getsignal(signal.SIGINT) is before
    assert interrupted.step == 18  # the step in which it came was finished
    resumed, whole = Trainer(*problem, tiny, seed=4), Trainer(*problem, tiny, seed=4)
    train(resumed, partial=path)
    train(whole)
    assert torch.equal(weights(resumed), weights(whole))
    assert not path.exists()


@pytest.mark.parametrize("change", ["seed", "recipe", "mixture"])
def test_a_run_is_not_resumed_as_another(problem, tiny, tmp_path, change):
    mixture, schedule = problem
    begun = Trainer(mixture, schedule, tiny, seed=4)
    begun.advance(2)
    begun.save_state(tmp_path / "half.safetensors")
    recipe = Recipe(**{**tiny.as_dict(), "batch": 65}) if change == "recipe" else tiny
    other = Trainer(
        mixture.diffused(0.9) if change == "mixture" else mixture,
        schedule,
        recipe,
        seed=5 if change == "seed" else 4,
    )
    with pytest.raises(FileError, match=change):
        other.load_state(tmp_path / "half.safetensors")


def test_an_unfinished_run_without_all_its_tensors_is_refused(problem, tiny, tmp_path):
    from mixdyn.learned.files import read_tensors, write_tensors

    begun = Trainer(*problem, tiny, seed=4)
    begun.advance(2)
    path = tmp_path / "half.safetensors"
    begun.save_state(path)
    tensors, about = read_tensors(path)
    write_tensors(path, {k: v for k, v in tensors.items() if "exp_avg_sq" not in k}, about)
    with pytest.raises(FileError, match="every tensor of its network and optimiser"):
        Trainer(*problem, tiny, seed=4).load_state(path)


def test_a_diverging_run_says_when(problem, tiny):
    # Infinite steps: the second loss is not finite.
    trainer = Trainer(*problem, Recipe(**{**tiny.as_dict(), "lr_start": 1e38, "lr_end": 1e38}), 0)
    with pytest.raises(ConvergenceError, match="before step 60"):
        train(trainer)


def test_a_device_is_cpu_or_a_gpu_that_is_there():
    with pytest.raises(InputError, match="'cpu' or 'cuda'"):
        check_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="needs a GPU"):
            check_device("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_a_gpu_and_a_cpu_give_the_same_loss_and_gradient(problem, tiny):
    """Same network, same batch: float32 sums in another order, so 1e-5 of the largest entry."""
    from mixdyn.learned.objective import loss

    cpu, gpu = Trainer(*problem, tiny, 0), Trainer(*problem, tiny, 0, device="cuda")
    x, t, eps = cpu.data.batch(512)
    values = [loss(cpu.network, x, t, eps), loss(gpu.network, x.cuda(), t.cuda(), eps.cuda())]
    for value in values:
        value.backward()
    assert float(values[1]) == pytest.approx(float(values[0]), rel=1e-5)
    for a, b in zip(cpu.network.parameters(), gpu.network.parameters(), strict=True):
        assert (a.grad - b.grad.cpu()).abs().max() <= 1e-5 * a.grad.abs().max() + 1e-7
    gpu.advance(60)
    assert gpu.take_training_loss() < 1.0


# -- the exact answer is the engine's, and a network is measured against it ------------------------


MIXTURES = {
    "standard": presets.grid(),
    "unequal": GaussianMixture([[0.0], [1.0], [3.0]], [0.05, 0.2, 0.1], [0.1, 0.3, 0.6]),
    "64-D": presets.farthest_point(64),
}


class Exact(torch.nn.Module):
    """The exact posterior mean plus a constant, as a network."""

    def __init__(self, mixture, schedule, shift=0.0):
        super().__init__()
        self.problem, self.shift = (mixture, schedule), shift
        self.one = torch.nn.Parameter(torch.ones(1))

    def forward(self, x, t):
        return exact_eps(*self.problem, x.double(), t) + self.shift


@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize("t", [1, 2, 25, 400, 1000])
def test_the_exact_answer_is_the_engines(name, t):
    mixture, schedule = MIXTURES[name], NoiseSchedule.linear()
    rng = np.random.default_rng(t)
    clean = mixture.sample(40, rng)
    noise_std = np.sqrt(schedule.noise_var[t])
    x = schedule.alpha[t] * clean + noise_std * rng.standard_normal(clean.shape)
    ours = exact_eps(mixture, schedule, torch.from_numpy(x), torch.full((40,), t)).numpy()
    # Exponents reach a few hundred: that many ulps are lost between the two ways of summing.
    assert np.abs(ours - ExactScore(mixture, schedule).eps(x, t)).max() < 1e-11


def test_an_exact_network_has_no_excess_and_a_shifted_one_has_its_square(problem):
    validation = Validation(*problem, seed=0, n=4096)
    exact = validation.measure(Exact(*problem))
    # The network gets float32 states: the responsibilities see 1e-7 of their exponents.
    assert exact.excess < 1e-10
    assert exact.loss == pytest.approx(exact.irreducible, rel=1e-5)
    shifted = validation.measure(Exact(*problem, shift=0.5))
    assert shifted.excess == pytest.approx(0.25, rel=1e-5)
    assert shifted.loss > shifted.irreducible + 0.2


def test_the_irreducible_loss_is_the_conditional_variance_of_the_noise(problem):
    """E Var(eps | x_t)/d by the mixture's own second moments: another formula for the same mean.

    Given the mode, Var(eps | x_t) = alpha^2 sigma^2/var; between modes the conditional means of eps
    differ by alpha noise_std (mu_i - mu_j)/var.
    """
    mixture, schedule = problem
    validation = Validation(mixture, schedule, seed=1, n=1 << 16)
    score = ExactScore(mixture, schedule)
    parts = []
    for t in range(1, schedule.T + 1):
        x = validation.x.numpy()[validation.t.numpy() == t]
        gamma = score.responsibilities(x, t)
        alpha_t, noise_var = schedule.alpha[t], schedule.noise_var[t]
        var = alpha_t**2 * mixture.sigma**2 + noise_var
        within = mixture.d * alpha_t**2 * mixture.sigma**2 / var
        gap = np.square(mixture.means[0] - mixture.means[1]).sum()
        between = gamma[:, 0] * gamma[:, 1] * alpha_t**2 * noise_var * gap / var**2
        parts.append((within + between) / mixture.d)
    per_draw = np.concatenate(parts)
    squares = (validation.best - validation.eps).square().mean(1).numpy()
    error = (squares.mean() - per_draw.mean()) / (squares.std() / np.sqrt(len(squares)))
    assert abs(error) < 6.0  # standard errors


def test_a_batch_is_signal_and_noise_at_its_time(problem):
    mixture, schedule = problem
    data = NoisyData(mixture.sample(100, 0), schedule, seed=5, device=torch.device("cpu"))
    x, t, eps = data.batch(4000)
    times = t.numpy()
    assert set(times) == set(range(1, schedule.T + 1))
    noise_std = np.sqrt(schedule.noise_var[times])[:, None]
    clean = (x.numpy() - noise_std * eps.numpy()) / schedule.alpha[times][:, None]
    away = np.abs(clean[:, None] - data.points.numpy()[None]).max(2).min(1)
    assert (schedule.alpha[times] * away).max() < 1e-6  # float32 at sizes up to a few


def test_the_loss_is_per_coordinate():
    network = lambda x, t: x  # noqa: E731
    x, eps = torch.zeros(3, 4), torch.full((3, 4), 2.0)
    assert float(loss(network, x, torch.tensor([1]), eps)) == 4.0
