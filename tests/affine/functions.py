"""Samplers as a user writes them: functions f(model, x_T, rng) on NumPy arrays."""

import itertools

import numpy as np

import mixdyn

SCHEDULE = mixdyn.NoiseSchedule.linear()


def ddim(model, x, rng, steps=10, T=1000, eta=0.0):
    """On the leading times, level named by t."""
    abar = SCHEDULE.alpha_bar
    times = [*range(0, T, T // steps)][::-1]
    for t, s in zip([t + 1 for t in times], [*(t + 1 for t in times[1:]), 0], strict=True):
        eps = model(x, t)
        x0 = (x - np.sqrt(1 - abar[t]) * eps) / np.sqrt(abar[t])
        std = eta * np.sqrt((1 - abar[s]) / (1 - abar[t]) * (1 - abar[t] / abar[s]))
        x = np.sqrt(abar[s]) * x0 + np.sqrt(1 - abar[s] - std**2) * eps
        if eta:
            x = x + std * rng.standard_normal(x.shape)
    return x


def karras(steps, low=0.01, high=150.0, rho=7.0):
    ramp = np.linspace(0, 1, steps)
    return np.append(
        (high ** (1 / rho) + ramp * (low ** (1 / rho) - high ** (1 / rho))) ** rho, 0.0
    )


def heun(model, x, rng, steps=10):
    """Of EDM, denoiser asked at sigma; the last step is Euler's."""
    sigmas = karras(steps)
    for now, then in itertools.pairwise(sigmas):
        d = (x - model(x, now)) / now
        moved = x + (then - now) * d
        if then > 0:
            d = 0.5 * (d + (moved - model(moved, then)) / then)
            moved = x + (then - now) * d
        x = moved
    return x


def ancestral(model, x, rng, steps=10):
    """Euler's ancestral sampler of k-diffusion, denoiser asked at sigma."""
    sigmas = karras(steps)
    for now, then in itertools.pairwise(sigmas):
        up = min(then, np.sqrt(then**2 * (now**2 - then**2) / now**2))
        down = np.sqrt(then**2 - up**2)
        x = x + (x - model(x, now)) / now * (down - now)
        if then > 0:
            x = x + rng.normal(0.0, up, size=x.shape)
    return x


def flow_euler(model, x, rng, steps=10):
    """Velocity eps - x_0 asked at t in (0, 1], from pure noise."""
    times = np.linspace(1.0, 0.0, steps + 1)
    for t, s in itertools.pairwise(times):
        x = x + (s - t) * model(x, np.full(len(x), t))
    return x


def second_order(model, x, rng, steps=10, noisy=False):
    """DPM-Solver++ 2M on even steps of log SNR, x_0 asked at log SNR, or its form for the SDE."""
    half = np.linspace(-4.0, 4.0, steps + 1)
    alpha, noise = np.sqrt(1 / (1 + np.exp(-2 * half))), np.sqrt(1 / (1 + np.exp(2 * half)))
    before = None
    for k in range(steps):
        x0 = model(x, 2 * half[k])
        h = half[k + 1] - half[k]
        mixed = x0 if before is None else 1.5 * x0 - 0.5 * before
        kept = -np.expm1(-2 * h if noisy else -h)
        x = noise[k + 1] / noise[k] * (np.exp(-h) if noisy else 1.0) * x
        x = x + alpha[k + 1] * kept * mixed
        if noisy:
            x = x + noise[k + 1] * np.sqrt(kept) * rng.standard_normal(x.shape)
        before = x0
    return x


def churned(model, x, rng, steps=10):
    """Euler with the churn of EDM: noise before every call, the first included."""
    sigmas = karras(steps, high=20.0)
    for now, then in itertools.pairwise(sigmas):
        up = 1.2 * now
        x = x + np.sqrt(up**2 - now**2) * rng.standard_normal(x.shape)
        x = x + (x - model(x, up)) / up * (then - up)
    return x


def twice_noisy(model, x, rng, steps=10):
    """Ancestral steps whose noise is drawn in two halves."""
    sigmas = karras(steps)
    for now, then in itertools.pairwise(sigmas):
        up = min(then, np.sqrt(then**2 * (now**2 - then**2) / now**2))
        x = x + (x - model(x, now)) / now * (np.sqrt(then**2 - up**2) - now)
        if then > 0:
            x = x + 0.6 * up * rng.standard_normal(x.shape)
            x = x + 0.8 * up * rng.standard_normal(x.shape)
    return x


def adams(model, x, rng, steps=10):
    """Adams-Bashforth of order four in sigma, equal weights: it looks back three calls."""
    sigmas, past = np.append(np.linspace(10.0, 0.5, steps), 0.0), []
    weights = (
        [1.0],
        [1.5, -0.5],
        [23 / 12, -16 / 12, 5 / 12],
        [55 / 24, -59 / 24, 37 / 24, -9 / 24],
    )
    for now, then in itertools.pairwise(sigmas):
        past = [(x - model(x, now)) / now, *past][:4]
        x = x + (then - now) * sum(w * d for w, d in zip(weights[len(past) - 1], past, strict=True))
    return x


def remembered_noise(model, x, rng, steps=10):
    """Each step adds half of the last step's noise again."""
    before = 0.0
    for now, then in itertools.pairwise(karras(steps, high=5.0)):
        x = x + (x - model(x, now)) / now * (then - now)
        xi = rng.standard_normal(x.shape)
        x, before = x + 0.1 * then * (xi + 0.5 * before), xi
    return x
