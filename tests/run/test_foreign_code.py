"""Code that is not ours may write on what it is given, and hand back one buffer at every call."""

import numpy as np
import pytest

from mixdyn import (
    DDIM,
    DDPM,
    AdaptiveNoise,
    ExactScore,
    GaussianMixture,
    Hybrid,
    NoiseSchedule,
    PerturbedScore,
    ProbabilityFlow,
    as_model,
    integrate_ode,
    integrate_sde,
    sample,
)
from mixdyn.learned.loading import SizedModel
from mixdyn.solvers.field import MixtureField
from mixdyn.solvers.integrators import (
    DormandPrince,
    ExponentialEuler,
    ExponentialMidpoint,
    ExponentialMultistep,
    heun,
    rk4,
)

MIXTURE = GaussianMixture([[-1.0, 0.0], [1.0, 0.5]], 0.1)
SCHEDULE = NoiseSchedule.linear(60, 1e-3, 0.2)
X = np.random.default_rng(0).standard_normal((9, 2))
SAMPLERS = [
    DDIM(20),
    DDIM(20, eta=1.0),
    DDPM(),
    Hybrid(5, DDIM(20)),
    ProbabilityFlow(20),
    AdaptiveNoise(20),
]


class Polite:
    d = 2

    def __init__(self):
        self.exact = ExactScore(MIXTURE, SCHEDULE)

    def eps(self, x, t):
        return self.exact.eps(x, t)


class InPlace(Polite):
    """Writes its prediction where it found the states."""

    def eps(self, x, t):
        x[...] = self.exact.eps(x, t)
        return x


class OneBuffer(Polite):
    """Returns the same array at every call of a size."""

    def __init__(self):
        super().__init__()
        self.buffers = {}

    def eps(self, x, t):
        out = self.buffers.setdefault(len(x), np.empty_like(x))
        out[...] = self.exact.eps(x, t)
        x[...] = np.nan
        return out


@pytest.mark.parametrize("rude", [InPlace, OneBuffer])
@pytest.mark.parametrize("wrapped", ["as it is", "as_model", "SizedModel"])
@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_a_model_that_works_in_place_samples_as_the_model_that_copies(sampler, wrapped, rude):
    def run(model):
        if wrapped == "as_model":
            model = as_model(model.eps)
        if wrapped == "SizedModel":
            model = SizedModel(model, 2)
        return sample(model, SCHEDULE, sampler, x=X, rng=3).x

    assert run(rude()).tobytes() == run(Polite()).tobytes()


@pytest.mark.parametrize("predicts", ["eps", "x0", "v", "score"])
def test_an_adapted_function_never_writes_on_the_states_of_its_caller(predicts):
    def halve(x, t):
        x *= 0.5
        return x

    model = as_model(halve, predicts=predicts, schedule=SCHEDULE)
    polite = as_model(lambda x, t: 0.5 * x, predicts=predicts, schedule=SCHEDULE)
    x = X.copy()
    first = model.eps(x, 30)
    assert x.tobytes() == X.tobytes()
    assert first.tobytes() == polite.eps(X, 30).tobytes()


def test_an_adapted_function_may_return_one_buffer_at_every_call():
    buffer = np.empty_like(X)
    model = as_model(lambda x, t: np.multiply(x, 1.0 / t, out=buffer))
    first = model.eps(X, 1)
    model.eps(X, 2)
    assert first.tobytes() == X.tobytes()


def test_a_perturbation_that_works_in_place_perturbs_as_one_that_copies():
    def rude(x, t):
        x *= 0.1
        return x

    for model in (Polite(), InPlace()):
        perturbed = PerturbedScore(model, SCHEDULE, rude)
        expected = PerturbedScore(Polite(), SCHEDULE, lambda x, t: 0.1 * x).eps(X, 20)
        x = X.copy()
        assert perturbed.eps(x, 20).tobytes() == expected.tobytes()
        assert x.tobytes() == X.tobytes()


class RudeField:
    """One buffer at every call, and nothing left of what it was given."""

    d = 2

    def __init__(self):
        self.field, self.buffer = MixtureField(MIXTURE), np.empty_like(X)

    def pull(self, y, v):
        self.buffer[...] = self.field.pull(y, v)
        y[...] = np.nan
        return self.buffer


METHODS = [
    ExponentialEuler(),
    ExponentialMidpoint(),
    ExponentialMultistep(3),
    heun(),
    rk4(),
    DormandPrince(),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_a_field_that_works_in_place_is_integrated_as_the_one_that_copies(method):
    v = np.geomspace(4.0, 0.01, 12)
    rude = integrate_ode(RudeField(), X, v, method).y
    # The tableaus of one class share its name; the exact field must agree for each of them.
    assert rude.tobytes() == integrate_ode(MIXTURE, X, v, method).y.tobytes()


def test_a_field_that_works_in_place_is_integrated_with_noise_as_the_one_that_copies():
    v = np.geomspace(4.0, 0.01, 12)
    rude = integrate_sde(RudeField(), X, v, rng=1).y
    assert rude.tobytes() == integrate_sde(MIXTURE, X, v, rng=1).y.tobytes()


class Rude:
    """An observer that keeps what it sees, and overwrites what it saw."""

    def init(self, grid, d):
        return []

    def step(self, state, rows, t, s, x, eps):
        state.append(x)
        x += 1.0
        if eps is not None:
            eps[...] = 0.0
        return state

    def merge(self, a, b):
        return a + b

    def result(self, state):
        return state


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_an_observer_cannot_change_the_run_and_keeps_what_it_saw(sampler):
    alone = sample(MIXTURE, SCHEDULE, sampler, x=X, rng=3, keep="trajectory")
    seen = sample(MIXTURE, SCHEDULE, sampler, x=X, rng=3, observers=[Rude(), Rude()])
    assert np.allclose(seen.x, alone.x, rtol=0, atol=1e-12)
    for kept in seen.observations:
        assert len({id(x) for x in kept}) == len(kept)
        assert np.allclose(np.array(kept[:-1]) - 1.0, alone.trajectory[:-1], rtol=0, atol=1e-12)


def test_a_torch_function_that_works_in_place_samples_as_the_one_that_copies():
    torch = pytest.importorskip("torch")
    rude = as_model(lambda x, t: torch.from_numpy(x).mul_(0.5))
    polite = as_model(lambda x, t: 0.5 * x)
    runs = [sample(model, SCHEDULE, DDIM(20), x=X).x for model in (rude, polite)]
    assert runs[0].tobytes() == runs[1].tobytes()
