"""The exact answer known to the trainer is the engine's, and a network is measured against it."""

import numpy as np
import pytest
import torch

from mixdyn import ExactScore, GaussianMixture, NoiseSchedule, presets
from mixdyn.learned.objective import NoisyData, Validation, exact_eps, loss

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
