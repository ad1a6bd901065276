r"""Orders of convergence.

Statement: With steps of equal length in intrinsic time the error of a method of order $p$ falls as
    $n^{-p}$ with the number $n$ of steps: Euler 1, Heun 2, Runge-Kutta 4, Dormand-Prince 5,
    exponential Euler 1, exponential midpoint and multistep 2. DDIM is of first order, as Euler's
    method in $\sqrt{\rho}$ with the noise estimate frozen. The laws of Euler-Maruyama, the
    exponential scheme and DDPM approach that of the reverse SDE with first order.
Hypotheses:
    - common_sigma: all modes share one sigma.
Measured: the slope $p$ of $\log$ error $= a - p \log n + c/n$ over the four finest grids whose
    error is above that of the closed form; nothing where the four before them give another, since
    then the slope has not settled. For the flow it is the median over starts drawn from the
    marginal, as the few next to a separatrix settle on finer grids only. For
    the stochastic methods the error is the $L^1$ distance between the density of their chain,
    carried from step to step by quadrature, and that of the reverse SDE, from a start beside the
    midpoint.
Predicted: the order; ends of the flow from the conserved distribution function, laws from the exact
    reverse law. On mixtures without a closed-form flow the two most distant modes
    stand in, and modes that overlap or weigh next to nothing are narrowed or made equal: the note
    says where. The chains run on two modes as far apart as the closest pair.
Evidence: sampled starts at a few noise levels; the stochastic part draws nothing.
Source: our result; DDIM of arXiv 2010.02502 v4, Section 4.3
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mixdyn import geometry, oracles
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.problem.schedule import NoiseSchedule, TimeGrid
from mixdyn.run.sampling import sample
from mixdyn.samplers import DDIM, DDPM
from mixdyn.score import ExactScore
from mixdyn.solvers import integrators
from mixdyn.solvers.field import MixtureField
from mixdyn.support.checks import Array
from mixdyn.support.errors import NotApplicableError
from verify.ledger.case import Case
from verify.ledger.claim import Claim
from verify.ledger.needs import modes, one_sigma
from verify.ledger.sides import Part, Side, Tolerance
from verify.ledger.verdict import Table
from verify.measure.midpoint.traps import neighbour_pairs, two_modes
from verify.measure.paths import extent

CLAIM = Claim.from_docstring(
    __doc__,
    id="X9",
    short="orders of convergence",
    rests_on={"O1": "the exact law", "O2": "the exact flow"},
    needs=(
        modes(2),
        one_sigma.because("errors are measured in the one clock of all directions"),
    ),
    derivation="derivations/samplers/ddim_integrator.py",
    does_not_show=(
        "How large the error is at the number of steps that samplers use: on coarse grids the "
        "order says little. Strong orders and the last step to clean data are not measured."
    ),
)

TOLERANCE = 0.4  # less than half the distance to the next order
FITTED = 4  # grids
N_STARTS = 257
FLOW_STEPS = (6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
DDIM_STEPS = (32, 64, 128, 256, 512)
LAW_STEPS = (4, 8, 16, 32, 64)
_FLOOR = 1e-13  # of the extent: a hundred times the error of the closed form away from separatrices
Step = tuple[Array, float]  # mean of the next state at every place, and its standard deviation


@dataclass(frozen=True)
class Slope:
    """A method's declared and measured order, and its error with `steps` steps over the extent."""

    method: str
    group: str
    declared: int
    measured: float
    steps: int
    error: float


def slopes_of(case: Case) -> list[Slope]:
    """Those of all methods."""
    return case.memo("X9 slopes", lambda: [*_of_flow(case), *_laws(case)])


@CLAIM.sampled(unit="methods", of=slopes_of)
def orders(case: Case, slopes: Sequence[Slope], raised: str = "") -> Iterator[Part]:
    """Slopes of all methods. raised: the group whose orders are taken to be one higher."""
    for name in dict.fromkeys(slope.group for slope in slopes):
        group = [slope for slope in slopes if slope.group == name]
        yield Side(
            f"order, {name}",
            [slope.measured for slope in group],
            fits=[slope.declared + (name == raised) for slope in group],
            tolerance=Tolerance(atol=TOLERANCE),
            where={
                key: np.array([getattr(slope, key) for slope in group])
                for key in ("method", "steps", "error")
            },
        )
    yield f"An order {TOLERANCE:g} off would have failed."
    yield stand_in(case)[1]
    yield _unsettled(slopes)
    columns = ("method", "declared order", "measured", "steps", "error over the extent, or L¹")
    rows = [(s.method, s.declared, s.measured, s.steps, s.error) for s in slopes]
    yield Table("Orders of convergence", columns, rows)


CLAIM.must_fail_each(
    orders,
    lambda case: {
        f"{slope.group}: one order higher": {"raised": slope.group} for slope in slopes_of(case)
    },
)


def _unsettled(slopes: Sequence[Slope]) -> str:
    names = [s.method for s in slopes if math.isnan(s.measured)]
    if not names:
        return ""
    where = "before its error fell to that of the closed form"
    return f"The slope of {', '.join(names)} had not settled {where}."


def _slope(
    method: str, group: str, declared: int, steps: tuple[int, ...], error: Callable[[int], Array]
) -> Slope:
    """Median over starts of the order fitted to the finest grids above the floor.

    error: number of steps to the errors of all starts. `steps` increase. NaN where the finest grid
    is below the floor, or the order has not settled: the last grid moved it by half the tolerance.
    """
    errors: list[Array] = []
    for n in steps:
        following = error(n)
        if len(errors) > FITTED and np.median(following) < _FLOOR:
            break
        errors.append(following)
    used = steps[: len(errors)]
    before, measured = (
        _fitted_order(used[k : k + FITTED], errors[k : k + FITTED])
        for k in (len(used) - FITTED - 1, len(used) - FITTED)
    )
    fine = float(np.median(errors[-1]))
    settled = abs(measured - before) <= 0.5 * TOLERANCE and fine >= _FLOOR
    return Slope(method, group, declared, measured if settled else math.nan, used[-1], fine)


def _fitted_order(steps: tuple[int, ...], errors: list[Array]) -> float:
    """Median over starts of p in log error = a - p log n + c/n, by least squares."""
    n = np.array(steps, dtype=float)
    terms = np.column_stack([np.ones(len(n)), -np.log(n), 1.0 / n])
    tiny = np.finfo(float).tiny  # an error of exactly zero: no start's order is infinite
    found = np.linalg.lstsq(terms, np.log(np.maximum(errors, tiny)))[0]
    return float(np.median(found[1]))


# -- the flow ------------------------------------------------------------------------------------


def stand_in(case: Case) -> tuple[GaussianMixture, str]:
    """The mixture whose flow is measured, and in what it is not the case's own.

    Two most distant modes stand in where the flow has no closed form. Modes that overlap are
    narrowed, so that the levels below are ones of the process, and weights more than 100:1 apart
    made equal, so that the field is not that of a single mode.
    """
    mixture, made = case.mixture, []
    try:
        oracles.flow_map(mixture, mixture.means[:1], 2.0, 1.0)
    except NotApplicableError:
        distances = geometry.pairwise_distances(mixture.means)
        two = list(np.unravel_index(distances.argmax(), distances.shape))
        mixture = GaussianMixture(mixture.means[two], mixture.sigma, mixture.weights[two])
    if mixture.N < case.mixture.N:
        made.append("the two most distant modes stand in")
    sigma = min(float(mixture.sigma), 0.1 * _spacing(mixture))
    if sigma < float(mixture.sigma):
        made.append(f"modes narrowed to σ = {sigma:.3g}")
    even = np.ptp(np.log(mixture.weights)) < math.log(100.0)
    if not even:
        made.append("weights made equal")
    words = f"Flow: {', '.join(made)}." if made else ""
    return GaussianMixture(mixture.means, sigma, mixture.weights if even else None), words


def _spacing(mixture: GaussianMixture) -> float:
    """The largest distance of a mode to its nearest neighbour: modes much closer act as one."""
    distances = geometry.pairwise_distances(mixture.means)
    np.fill_diagonal(distances, np.inf)
    return float(distances.min(axis=1).max())


def _levels(mixture: GaussianMixture) -> tuple[float, float]:
    """From where neighbours are one blur to where they part, l^2 = 4 v."""
    v_end = 0.25 * _spacing(mixture) ** 2
    return 8.0 * v_end, v_end


def _of_flow(case: Case) -> Iterator[Slope]:
    """The methods of the flow, and DDIM, from starts drawn from the marginal."""
    mixture, _ = stand_in(case)
    v_start, v_end = _levels(mixture)
    law = GaussianMixture(mixture.means, math.sqrt(v_start), mixture.weights)
    y = law.sample(N_STARTS, case.rng("X9"))
    truth = oracles.flow_map(mixture, y, v_start, v_end)
    # So loose a tolerance accepts every interval of the grid as one step.
    whole_steps = integrators.DormandPrince(rtol=1e6, atol=1e6 * extent(mixture))
    methods: dict[str, integrators.OdeMethod] = {
        "Euler": integrators.euler(),
        "Heun": integrators.heun(),
        "Runge-Kutta 4": integrators.rk4(),
        "Dormand-Prince": whole_steps,
        "exponential Euler": integrators.ExponentialEuler(),
        "exponential midpoint": integrators.ExponentialMidpoint(),
        "exponential multistep": integrators.ExponentialMultistep(),
    }
    for name, method in methods.items():

        def error(n: int, method: integrators.OdeMethod = method) -> Array:
            v = np.geomspace(v_start, v_end, n + 1)
            v[[0, -1]] = v_start, v_end
            return _errors(mixture, integrators.integrate_ode(mixture, y, v, method).y, truth)

        yield _slope(name, "flow", method.order, FLOW_STEPS, error)
    yield _ddim(mixture, y, v_start, v_end)


def _errors(mixture: GaussianMixture, y: Array, truth: Array) -> Array:
    return np.asarray(np.linalg.norm(y - truth, axis=1) / extent(mixture))


def _ddim(mixture: GaussianMixture, y: Array, v_start: float, v_end: float) -> Slope:
    """DDIM on schedules whose sqrt(rho) is evenly spaced between the two levels."""
    sigma = float(mixture.sigma)

    def error(n: int) -> Array:
        root = np.linspace(math.sqrt(v_end - sigma**2), math.sqrt(v_start - sigma**2), n + 1)
        schedule = _schedule(np.square(root))
        v = schedule.effective_variance(sigma)
        path = sample(
            mixture,
            schedule,
            DDIM(spacing="full"),
            x=schedule.alpha[-1] * y,
            rng=0,
            keep="trajectory",
        ).trajectory
        end = np.asarray(path)[-2] / schedule.alpha[1]
        return _errors(mixture, end, oracles.flow_map(mixture, y, float(v[-1]), float(v[1])))

    return _slope("DDIM", "DDIM", 1, DDIM_STEPS, error)


def _schedule(rho: Array) -> NoiseSchedule:
    """The schedule with rho_1..rho_T increasing as given."""
    log_abar = -np.log1p(rho)
    return NoiseSchedule.from_betas(-np.expm1(np.diff(log_abar, prepend=0.0)))


# -- laws of stochastic methods ------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """Two modes on a line between two levels; places (M,) for densities."""

    mixture: GaussianMixture
    v_start: float
    v_end: float
    start: float
    places: Array

    def law_error(self, steps: Iterator[Step]) -> Array:
        """L^1 distance between a chain's law and the reverse SDE's, from the start, (1,)."""
        width = self.places[1] - self.places[0]
        weight = np.ones(1)  # of the places the chain may be at: first the start alone
        for mean, std in steps:
            density = _normal_density(self.places, mean, np.full(len(mean), std), weight)
            weight = width * density
        return np.array([np.abs(weight - width * self._exact()).sum()])

    def _exact(self) -> Array:
        """Density of O1 at the places."""
        rho = [v - float(self.mixture.sigma) ** 2 for v in (self.v_start, self.v_end)]
        abar = [1.0 / (1.0 + r) for r in rho]
        weights, means, variances = oracles.reverse_law(
            self.mixture,
            [[math.sqrt(abar[0]) * self.start]],
            abar[0],
            abar[1],
            noise_var_t=rho[0] * abar[0],
            noise_var_s=rho[1] * abar[1],
        )
        alpha = math.sqrt(abar[1])
        std = np.sqrt(variances) / alpha
        return _normal_density(self.places, means[0, :, 0] / alpha, std, weights[0])


def _normal_density(places: Array, mean: Array, std: Array, weight: Array) -> Array:
    """sum_k weight_k N(places; mean_k, std_k^2)."""
    z = (places[:, None] - mean) / std
    return np.asarray((np.exp(-0.5 * z * z) / (std * math.sqrt(2.0 * math.pi))) @ weight)


def _line(case: Case) -> Line:
    """Two modes of equal weight at the distance of the closest pair, narrowed if they overlap."""
    l = neighbour_pairs(case.mixture, 1)[0].length
    v_end = l**2 / 12.0
    reach = 0.5 * l + 8.0 * math.sqrt(v_end)
    places = np.linspace(-reach, reach, 2 * int(reach / (0.065 * math.sqrt(v_end))) + 1)
    two = two_modes(l, min(float(case.mixture.sigma), 0.1 * l))
    return Line(two, 12.0 * v_end, v_end, 0.1 * l, places)


def _laws(case: Case) -> Iterator[Slope]:
    line = _line(case)
    for name, method in (
        ("Euler-Maruyama", integrators.EulerMaruyama()),
        ("exponential SDE", integrators.ExponentialSde()),
    ):

        def error(n: int, method: integrators.SdeMethod = method) -> Array:
            return line.law_error(_sde_steps(line, method, n))

        yield _slope(name, "laws", method.weak_order, LAW_STEPS, error)
    yield _slope("DDPM", "laws", 1, LAW_STEPS, lambda n: line.law_error(_ddpm_steps(line, n)))


def _sde_steps(line: Line, method: integrators.SdeMethod, n: int) -> Iterator[Step]:
    field = MixtureField(line.mixture)
    v = np.geomspace(line.v_start, line.v_end, n + 1)
    y = np.array([[line.start]])
    for v_t, v_s in zip(v[:-1].tolist(), v[1:].tolist(), strict=True):
        mean = method.mean(y, field.pull(y, v_t), v_t, v_s)
        yield mean[:, 0], math.sqrt(method.noise_var(v_t, v_s))
        y = line.places[:, None]


def _ddpm_steps(line: Line, n: int) -> Iterator[Step]:
    """DDPM's own coefficients and noise estimate, on a schedule that ends at the last level."""
    rho = np.geomspace(line.v_end, line.v_start, n + 1) - float(line.mixture.sigma) ** 2
    schedule = _schedule(rho)
    model = ExactScore(line.mixture, schedule)
    plan = DDPM().plan(schedule, TimeGrid.full(schedule.T))
    c_x, c_eps, c_noise = plan.eps_form()
    y = np.array([[line.start]])
    for k, (t, s) in enumerate(plan.grid.pairs[:-1]):  # the last step, to clean data, has no noise
        alpha_t, alpha_s = schedule.alpha[t], schedule.alpha[s]
        x = alpha_t * y
        mean = (c_x[k] * x + c_eps[k] * model.eps(x, t)) / alpha_s
        yield mean[:, 0], float(c_noise[k] / alpha_s)
        y = line.places[:, None]
