"""Each figure draws from a small made-up result, states its numbers, and saves the same bytes."""

import json
import re

import numpy as np
import pytest

from verify.experiments import Result
from verify.figures import FIGURES, style

TIMES = np.array([20, 10, 4, 2, 1, 0])
SPREAD = np.array([4.0, 2.0, 0.5, 0.1, 0.05, 0.01])
CLASSES = np.array([[900, 90, 10], [1000, 0, 0], [980, 20, 0]])  # of 1000
SAMPLERS = ["DDIM", "hybrid z=2", "hybrid z=5", "hybrid z=8", "DDPM"]
SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
SIDES = np.array([[0, 1], [0, 2], [1, 3], [2, 3]])


def _phase_portrait():
    points = np.stack(np.meshgrid(np.linspace(-0.3, 1.3, 5), np.linspace(-0.8, 0.8, 5)), axis=-1)
    paths = SQUARE[None] * (1.0 + 0.5 * np.sqrt(SPREAD)[:, None, None])
    return {
        "n": 4,
        "means": SQUARE,
        "pairs": SIDES,
        "saddles": np.array([[0.5, 0.0], [np.nan, np.nan], [1.0, 0.5], [0.5, 1.0]]),
        "pair": [0, 1],
        "points": points,
        "field": -points,
        "tau": 4,
        "kappa": 7.0,
        "tube": 0.1,
        "length": 1.0,
        "times": TIMES,
        "paths": paths,
    }


def _distance():
    quantiles = np.array([0.1, 0.5, 1.0, 2.0, 4.0])[:, None] * np.sqrt(SPREAD)
    one = {"times": TIMES, "v": SPREAD, "quantiles": quantiles}
    both = {f"{name}_{key}": value for name in ("ddim", "ddpm") for key, value in one.items()}
    return both | {
        "n": [10, 20, 30],
        "levels": np.array([0.05, 0.25, 0.5, 0.75, 0.95]),
        "kappa": 7.0,
        "tau_1_first": np.array([10, 4]),
        "tau_1_fixed": np.array([10, 10, 4]),
        "tau_2": 4,
        "length": 1.0,
    }


def _radius():
    hits = np.array([[1000, 0, 0]] * 4 + [[12, 1, 0]])
    return {
        "n": 1000,
        "radius": np.array([0.01, 0.2, 0.5]),
        "samplers": SAMPLERS,
        "late_start": 3,
        "late_hits": hits,
        "late_end": np.array([[0.1, 0.05, 0.0]] * 4 + [[0.0599, 0.04, 0.005]]),
        "early_start": 22,
        "early_hits": hits,
        "mode_radius": 0.05,
        "blur": 0.25,
        "factor_sde": 0.122,
        "factor_ode": 0.349,
        "factor_ddim": 0.198,
    }


def _dominance():
    shape = (5, 3, 3)
    falling = np.arange(45.0, 0.0, -1.0).reshape(shape) + 10.0
    return {
        "n": 10,
        "d": [2, 4, 8, 32, 64],
        "kappa": np.array([1.0, 7.0, 20.0]),
        "levels": [0.1, 0.5, 0.9],
        "first": falling,
        "fixed": falling,
        "own": np.where(falling > 12.0, falling, -1.0),
        "closest": falling[:, :, 0],
    }


def _saddles():
    two = np.array([800.0, 100.0, 17.0, 0.2])
    along = np.array([two * (1 + 1e-15), [800.0, 100.0, 17.001, np.nan]])
    return {
        "n": 2,
        "times": np.array([1, 4, 22, 100]),
        "v": np.array([1e-4, 1e-3, 1e-2, 0.1]),
        "along": along,
        "lowest": np.full((2, 4), -1.0),
        "shift": np.zeros((2, 4)),
        "two_modes": two,
        "tau_2": 22,
    }


def _terminal():
    logs = np.array([[0.1, -0.5, -264.4, -264.4], [0.2, 0.0, -1.0, -1.1]])
    rate = np.array([4e3, 2e3, 1e3])
    return {
        "n": 1000,
        "kinds": ["bound of P5.1", "linear confinement", "bound of X5", "exact"],
        "tau": 3,
        "half_width": 0.15,
        "theta": np.array([0.15, 0.49]),
        "over_theta": logs,
        "taus": np.array([2, 30]),
        "over_tau": logs,
        "hits": np.array([0, 130]),
        "k_sup": rate,
        "k_ratio": 100 * rate,
        "outward": 2 * rate,
        "chord": 0.5 * rate,
        "k_sup_integral": 6.44,
        "k_ratio_integral": 1088.0,
    }


def _weights():
    z = np.linspace(0.0, -0.3, 6)
    return {
        "n": 24,
        "k": [5.0, 8.0, 16.0, 50.0],
        "limit": np.array([0.156, 1.07, 4.29, 20.1]),
        "ratio": 4.0,
        "log_ratio": np.linspace(0.0, 1.0, 6) * np.array([[0.156], [1.07], [4.29], [20.1]]),
        "engine": np.tile(z, (4, 1)),
        "exact": np.tile(z, (4, 1)),
        "times": np.array([1, 10, 40, 100]),
        "saddle": np.array([0.0, -0.05, -0.24, np.nan]),
        "separatrix": np.array([0.0, -0.04, -0.11, -0.2]),
    }


def _basin():
    return {
        "n": 18,
        "taus": np.array([2, 22, 100]),
        "ends": [1, 0],
        "fractions": [0.15, 0.35, 0.45],
        "paper": np.array([[-160.0, -1041.7, -1800.0], [-1400.0, -4013.6, -6000.0]]),
        "sharp": np.full((2, 3, 3), -177.0),
        "truth": np.full((2, 3, 3), [[-1.0, -87.3, -90.0]]),
        "tau_2": 22,
    }


def _diagonals():
    kappa = np.array([1.0, 5.0])
    cell = {"kappa": kappa, "log_ratio": -2.0 * kappa, "bound": -2.0 * kappa}
    both = {f"{name}_{key}": v for name in ("square", "sheared") for key, v in cell.items()}
    return both | {
        "n": 1000,
        "lattices": ["square", "sheared by 0.5"],
        "kinds": ["first side", "second side", "diagonal", "neither"],
        "counts": np.array([[40, 40, 0, 1], [40, 30, 10, 0]]),
        "shear": 0.5,
        "blur": 0.25,
    }


def _ablations():
    counts = np.stack([CLASSES[[1, 1]], CLASSES[[0, 2]]])
    values = {"T": [500, 1000], "sigma": [0.01, 0.02], "spacing": [1.0, 2.0]}
    every = {f"{name}_counts": np.stack([counts, counts]) for name in values}
    return {"n": 1000, "samplers": ["DDIM", "DDPM"], "width": 0.5, **values, **every}


def _learned_distance():
    quantiles = np.array([0.1, 1.0, 4.0])[:, None] * np.sqrt(SPREAD)
    falling = np.where(TIMES > 10, np.nan, 0.1 * np.sqrt(SPREAD))
    return {
        "n": [20, 20],
        "models": ["reduced, seed 0"],
        "levels": np.array([0.05, 0.5, 0.95]),
        "times": TIMES,
        "v": SPREAD,
        "ddim_quantiles": np.stack([quantiles, 1.1 * quantiles]),
        "ddpm_quantiles": np.stack([quantiles, 1.2 * quantiles]),
        "floor_median": np.stack([1e-3 * falling, np.full(len(TIMES), 0.0023)]),
        "floor_high": np.stack([2e-3 * falling, np.full(len(TIMES), 0.006)]),
        "offset": np.stack([falling, falling]),
        "envelope": np.stack([falling + 0.05, falling + 0.05]),
        "tau_1": [10.0, 10.0],
        "tau_2": 4,
        "length": 1.0,
    }


def _learned_radius():
    hits = np.array([[990, 40, 0], [500, 60, 5], [300, 50, 4], [200, 40, 3], [30, 9, 0]])
    return {
        "n": 1000,
        "models": ["reduced, seed 0"],
        "radius": np.array([0.05, 0.2, 0.5]),
        "samplers": SAMPLERS,
        "start": [4, 10],
        "steps_left": [3, 4],
        "hits": np.stack([hits, hits // 5])[:, None],
        "exact": np.zeros((2, 5, 3)),
    }


def _learned_tau_3():
    # Runs, visits, interpolations and both, of one network.
    ddim = [[1000, 700, 21, 21], [1000, 500, 21, 20], [1000, 30, 21, 15]]
    ddpm = [[1000, 900, 1, 1], [1000, 700, 1, 1], [1000, 0, 1, 0]]
    counts = np.array([ddim, ddpm])[:, :, None]
    return {
        "n": [1000, 1000],
        "models": ["reduced, seed 0"],
        "samplers": ["DDIM-50", "DDPM-1000"],
        "windows": np.array([25, 11, 5]),
        "window_times": [193, 34, 6],
        "theta": np.array([0.15, 0.35, 0.45]),
        "theta_fixed": 0.35,
        "tau_3_fixed": 11,
        "by_window": counts,
        "by_theta": counts[:, ::-1],
    }


def _frontier():
    family = ["DDIM", "DDIM", "eta = 1", "DDPM", "adaptive", "adaptive"]
    counts = np.array([[900, 95, 5], [980, 20, 0], [998, 2, 0], [1000, 0, 0], [998, 2, 0]])
    counts = np.concatenate([counts, [[1000, 0, 0]]])
    cost = np.array([20.0, 50.0, 50.0, 1000.0, 24.0, 46.0])
    return {
        "n": [1000, 1000],
        "models": ["reduced, seed 0", "reduced, seed 1"],
        "family": family,
        "n_eval": np.stack([cost, cost]),
        "counts": np.stack([counts, counts]),
        "weight_error": np.tile([0.01, 0.002, 0.003, -0.0002, 0.001, 0.0004], (2, 1)),
        "spread": np.tile([0.9, 0.78, 0.69, 0.68, 1.1, 1.1], (2, 1)),
    }


def _frontier_elsewhere():
    counts = np.array([[970, 25, 5], [999, 1, 0], [999, 1, 0], [1000, 0, 0]])
    return {
        "n": [1000, 1000],
        "models": ["grid-T500", "modes-d4"],
        "family": ["DDIM", "eta = 1 + retry", "adaptive", "DDPM"],
        "n_eval": np.tile([50.0, 54.0, 46.0, 1000.0], (2, 1)),
        "counts": np.stack([counts, counts]),
        "weight_error": np.tile([0.01, 0.01, -0.001, 0.0], (2, 1)),
        "spread": np.tile([0.8, 0.7, 1.1, 0.7], (2, 1)),
    }


def _insurance_eta():
    one = {
        "n": 1000,
        "steps": 50,
        "eta": np.array([0.5, 1.0, 2.0]),
        "log_p": np.array([-15.0, -23.0, -40.0]),
        "gap": np.array([[60, 8, 0], [52, 6, 1]]),
        "plain": np.array([70, 80]),
        "guarantee": np.array([[0.1, 0.02, 0.001], [0.12, 0.031, 0.002], [0.14, 0.04, 0.003]]),
        "agree": np.array([3, 2]),
    }
    grids = {f"{grid}_{key}": value for grid in ("coarse", "full") for key, value in one.items()}
    return {"n": 1000, "models": ["reduced, seed 0", "reduced, seed 1"], **grids}


def _learned_saddles():
    exact = np.array([[1.5, 1.5], [17.0, 17.0], [832.0, 832.0]])
    growth = np.array([[1.7, 1.9], [3.9, 4.2], [0.35, -0.2]])
    width = np.array([[0.012, 0.018], [0.8, 0.82]])
    return {
        "n": 2,
        "models": ["reduced, seed 0", "reduced, seed 1"],
        "times": np.array([66, 22, 1]),
        "growth": np.stack([growth, 1.1 * growth]),
        "lowest": np.full((2, 3, 2), -0.9),
        "exact": exact,
        "starts": np.array([66, 1]),
        "width": np.stack([width, width]),
        "least": np.stack([0.2 * width, 0.2 * width]),
        "flow": np.array([-6.1, -0.1]),
        "ddim": np.array([-5.7, -0.2]),
        "hits": [20, 22],
        "runs": 1000,
        "tau_2": 22,
    }


def _learned_drift():
    z = np.linspace(-0.6, 0.6, 7)
    exact = np.stack([np.sin(4.0 * z), 2.0 * np.sin(4.0 * z)])[:, None].repeat(3, axis=1) / 4.0
    return {
        "n": 3,
        "models": ["reduced, seed 0"],
        "z": z,
        "times": np.array([66, 1]),
        "learned": 0.2 * exact[None],
        "exact": exact,
        "saddles": np.array([[[0.0, 0.01, -0.01], [0.1, -0.1, np.nan]]]),
        "stable": [0],
        "found": 5,
    }


def _learned_steps():
    none = np.array([[1000, 0, 0]] * 3)
    return {
        "n": [1000, 1000, 1000, 1000],
        "models": ["reduced, seed 0", "reduced, seed 1"],
        "steps": np.array([50, 100, 1000]),
        "ddim": np.stack([CLASSES[[0, 2, 2]], CLASSES[[2, 2, 2]]]),
        "ddpm": CLASSES[[1, 2]],
        "exact_ddim": np.stack([none, none]),
        "exact_ddpm": none[:2],
    }


def _learned_eta():
    return {
        "n": 1000,
        "models": ["reduced, seed 0", "reduced, seed 1"],
        "eta": np.array([0.0, 1.0, 1.25]),
        "counts": np.stack([CLASSES[[0, 2, 1]], CLASSES[[0, 1, 1]]]),
        "exact": np.stack([CLASSES[[1, 1, 1]]] * 2),
        "spread": np.array([[0.80, 0.70, 0.66], [0.82, 0.70, 0.66]]),
        "exact_spread": np.array([[0.63, 0.55, 0.53]] * 2),
        "recursion": np.array([0.56, 0.55, 0.53]),
    }


def _learned_ablations():
    counts = np.stack([CLASSES[[2, 1]], CLASSES[[0, 2]]])
    values = {"T": [1000, 2000], "sigma": [0.02, 0.1], "spacing": []}
    data = {"n": [1000, 1000], "samplers": ["DDIM", "DDPM"], "settings": ["standard", "T = 2000"]}
    for name, trained in values.items():
        size = len(trained)
        data |= {name: np.array(trained), f"{name}_counts": counts[:size]}
        data[f"{name}_exact"] = np.stack([CLASSES[[1, 1]]] * 2)[:size]
    return data | {"counts": counts, "missing": ["spacing = 1"]}


def _hal_paths():
    along = np.arange(6.0)[:, None, None] * np.array([0.01, 0.0])
    right = np.stack([np.repeat(along, 3, axis=1)] * 2)
    wrong = 7.0 * right
    wrong[1, :, 2] = np.nan  # fewer hallucinations than places
    return {
        "n": [20, 30],
        "names": ["line", "grid"],
        "times": np.arange(6, 0, -1),
        "right": right,
        "wrong": wrong,
    }


def _hal_populations():
    edges = np.linspace(-8.0, 0.0, 321)
    low, high = np.zeros((2, 320), int), np.zeros((2, 320), int)
    low[:, 80:120], high[:, 200:240] = 5, 2
    return {
        "n": [80, 80],
        "names": ["line", "grid"],
        "kept": [0.98, 0.95],
        "window": [15, 5],
        "edges": edges,
        "wrong": high,
        "right": low,
        "removed": [0.9875, 0.9625],
        "weakest": "modes-1-2-4-5-100k-0",
        "weakest removed": 0.889,
        "windows": [2, 15],
        "every": ["modes-line-0", "modes-grid-0"],
        "area": np.array([[0.7, 0.99], [0.96, 0.89]]),
        "error": np.full((2, 2), 0.01),
    }


def _recursions():
    hits = np.array([[20, 60, 110], [20, 50, 90], [20, 21, 15]])
    counts = np.stack([1000 - hits, hits, np.zeros_like(hits)], axis=-1)
    modes = np.array([[250, 250, 250, 250], [200, 300, 260, 240], [150, 350, 260, 240]])
    return {
        "n": 1000,
        "filters": ["none", "random", "hal"],
        "seeds": [0, 0, 0],
        "counts": counts,
        "modes": np.stack([modes + 1] * 3),
        "spread": np.array([[0.9, 1.1, 1.5], [0.9, 1.0, 1.4], [0.9, 0.8, 0.8]]),
        "at": [1, 3],
        "clouds": np.zeros((3, 2, 5, 2)),
        "means": SQUARE,
    }


def _line_densities():
    density = np.array([[2.0, 1e-4, 2.0, 1e-6, 2.0]] * 5)
    return {
        "n": 1000,
        "edges": np.linspace(0.5, 5.5, 6),
        "lines": ["1-2-3", "1-2-4", "1-2", "1-2-4-5"],
        "own": density[:4],
        "exact": density[:4],
        "counts": np.array([300, 0, 400, 0, 300]),
        "names": ["a", "b", "c", "d", "e"],
        "line": np.array([0, 0, 1, 2, 3]),
        "points": np.array([25_000, 500_000, 100_000, 100_000, 100_000]),
        "density": density,
        "rate": np.array([1.3e-4, 3.7e-5, 6.5e-5, 1.3e-5, 3.3e-4]),
    }


def _plane_states():
    return {
        "n": 4,
        "planes": ["grid", "diamond"],
        "kinds": ["side", "diagonal", "elsewhere"],
        "plane": ["grid", "diamond"],
        "samplers": ["DDPM", "DDPM"],
        "draws": [1000, 1000],
        "counts": np.array([[30, 2, 1], [40, 0, 0]]),
        "exact": np.zeros((2, 3), int),
        "grid_means": SQUARE,
        "grid_x": SQUARE + 0.01,
        "diamond_means": SQUARE,
        "diamond_x": SQUARE + 0.01,
    }


def _score_smoothing():
    times, places = np.array([1, 3, 8, 26]), np.linspace(-0.5, 0.5, 5)
    flat = np.ones((1, 4))
    return {
        "n": 5,
        "models": ["modes-1-2-3-100k-0"],
        "times": times,
        "places": places,
        "x0_hat": np.stack([np.stack([places] * 4)]),
        "exact_x0_hat": np.stack([np.sign(places)] * 4),
        "eigenvalue": 3.0 * flat,
        "exact_eigenvalue": np.array([70.0, 40.0, 14.0, 1.5]),
        "width": 5.0 * flat,
        "sigma": 1.6 * flat,
        "left": 0.34 * flat,
        "room": np.array([True, True, True, False]),
    }


def _causes():
    rate = np.array([[0.0, 1e-9, 0.02, 1e-3], [1e-6, 1e-9, 1e-3, 2e-3]])
    return {
        "n": [1000],
        "problems": ["a line", "the grid"],
        "cells": ["exact, DDIM", "exact, DDPM", "learned, DDIM", "learned, DDPM"],
        "rate": rate,
        "low": np.array([[0.0, np.nan, 0.01, 5e-4], [np.nan] * 4]),
        "high": np.array([[4e-3, np.nan, 0.03, 2e-3], [np.nan] * 4]),
        "shares": np.array([[0.01, 0.009], [1e-3, -1e-3]]),
    }


MADE_UP = {
    "line_densities": _line_densities,
    "plane_states": _plane_states,
    "score_smoothing": _score_smoothing,
    "causes": _causes,
    "phase_portrait": _phase_portrait,
    "steps": lambda: {
        "n": 1000,
        "steps": np.array([10, 50, 1000]),
        "scores": ["exact", "blurred"],
        "ddim": np.stack([CLASSES[[2, 1, 1]], CLASSES[[0, 2, 2]]]),
        "ddpm": CLASSES[[1, 2]],
        "blur": 0.25,
    },
    "distance": _distance,
    "radius": _radius,
    "dominance": _dominance,
    "saddles": _saddles,
    "eta": lambda: {
        "n": 1000,
        "scores": ["exact", "blurred"],
        "eta": np.array([0.0, 1.0]),
        "counts": np.stack([CLASSES[[1, 1]], CLASSES[[0, 2]]]),
        "spread": np.array([[0.63, 0.55], [1.11, 0.63]]),
        "recursion": np.array([0.56, 0.55]),
        "blur": 0.25,
    },
    "terminal": _terminal,
    "ablations": _ablations,
    "weights": _weights,
    "basin": _basin,
    "diagonals": _diagonals,
    "learned_saddles": _learned_saddles,
    "learned_drift": _learned_drift,
    "learned_distance": _learned_distance,
    "learned_radius": _learned_radius,
    "learned_tau_3": _learned_tau_3,
    "frontier": _frontier,
    "frontier_elsewhere": _frontier_elsewhere,
    "insurance_eta": _insurance_eta,
    "learned_steps": _learned_steps,
    "learned_eta": _learned_eta,
    "learned_ablations": _learned_ablations,
    "hal_paths": _hal_paths,
    "hal_populations": _hal_populations,
    "recursions": _recursions,
}

# A number of each made-up result that its message must state.
STATED = {
    "M-2": r"goes from 1\.3e-04 to 3\.7e-05 \(modes at 1, 2, 3\) and 6\.5e-05 to 6\.5e-05",
    "M-3": r"70 lie on sides of cells, 2 on diagonals, 1 on neither",
    "M-4": r"at t = 3 .* is 3 instead of 40, and a sigma 1\.6 times as large leaves 34 %",
    "M-9": r"1\.3e-05 of DDPM's samples \(modes at 1, 2\) and 3\.3e-04",
    "X10": r"at most 1e-06 of the samples .* makes 10 times \(median\) what",
    "M-5": r"last 6 steps .* 7\.0 times as far .* on the line and 7\.0 times on the grid",
    "M-6": r"removes 98\.8 % .* keeps 98 % of the rest on three modes, 96\.2 % and 95 % on"
    r".* removes least, 1-2-4-5-100k, 88\.9 %",
    "M-7": r"interpolates 11 % of the time, after a random filter 9 %, .* by Hal 1\.5 %",
    "M-8a": r"11 % of them without a filter, 1\.5 % with Hal's",
    "X11": r"at most 3.1 % of .* are in a gap, and 0.7 % are; 4 of 6 pairs of eta",
    "X8E": r"on 2 of 2 \(by a factor of 30 in the median\); from DDIM .* it can be told on 0",
    "X8": r"46 evaluations of AdaptiveNoise leave 0 % .* DDPM with 1000 leaves 0 %, .* 50 2 %",
    "1": r"in 2 % to 9 % of samples with DDIM in 50 steps, in 0 % to 2 % with DDPM",
    "3L": "from 5.5 % at 50 to 2 % at 1000 steps; DDPM makes 1 %",
    "E.13L": r"from 9 % at eta = 0 to 1 % at eta = 1, .* from 0\.81 to 0\.70 sigma",
    "E.16L": r"at 2 of 2 settings .* most at T = 2000 \(9 % against 2 %\)",
    "2": "3 of 4 segments",
    "3": "none from 50 steps on",
    "4": r"DDIM's median falls 6\.3-fold, sqrt\(v\) 6\.3-fold",
    "5": r"DDPM ends 0\.0599 l from the mode, closed form 0\.0598 l",
    "4L": r"by 0\.0023 l or more, where the theorem's bound is 0\.072 l",
    "5L": r"99 % of DDIM's runs, 50 % with two noisy .* 3 % of DDPM's; .* 20 %, 10 % and 0\.6 %",
    "E.11": r"P\(H\|M\) goes from 50 to 3 %, while 71\.4 to 100 % of the interpolations",
    "E.6": "tau_1 = 51 to 15",
    "E.12": "at most 6e-05",
    "E.12L": r"negative at 2 of 12 places.* 0\.015 l wide instead of 2e-06 l",
    "C.4": r"reaches 0\.1 l .* instead of 0\.5 l; of 5 equilibria .* none attracts",
    "E.13": r"from 9 % at eta = 0 to 2 % at eta = 1, .* from 1\.11 to 0\.63 sigma",
    "E.14": r"vacuous \(1\.26 .* gives 4e-265, the exact law 4e-265",
    "E.16": r"no more|more than 0 % .* \(10 % at spacing 1, 10 % at 2",
    "B.1": r"4:1 at t = 40: -0\.24 l against -0\.11 l",
    "D.1": r"0 % of them on the square grid; .* \(12 % on the grid sheared by 0\.5",
    "X3": r"2e-1042 l by the published bound, 1e-177 l by X3; the flow itself keeps 5e-88",
}


def made_up_results(spec):
    recipe = {
        "case": "made-up",
        "mixture": {"N": 4, "d": 2, "digest": "0"},
        "schedule": {"T": 1000, "digest": "0"},
        "seed": 0,
        "versions": {"mixdyn": "0"},
    }
    results = {}
    for name in spec.experiments:
        data = {key: np.asarray(value) for key, value in MADE_UP[name]().items()}
        results[name] = Result({**recipe, "n": data["n"].tolist()}, data)
    return results


@pytest.mark.parametrize("spec", FIGURES.values(), ids=FIGURES)
def test_a_figure_states_its_numbers_labels_its_axes_and_is_small(spec, tmp_path):
    with style.settings():
        figure = spec.draw(made_up_results(spec))
        assert figure._suptitle.get_window_extent().x1 < figure.bbox.x1
        svg, png = style.save(figure, tmp_path, spec.stem, spec.title)
    message = " ".join(figure.get_suptitle().split())
    assert re.search(STATED[spec.id], message), message
    for ax in figure.axes:
        assert ax.get_xlabel()
    assert figure.axes[0].get_ylabel()
    assert 2_000 < svg.stat().st_size < 300_000
    assert png.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("spec", [FIGURES["3"], FIGURES["D.1"]], ids=["3", "D.1"])
def test_a_figure_drawn_twice_is_the_same_bytes_without_a_date(spec, tmp_path):
    saved = []
    for name in ("a", "b"):
        with style.settings():
            figure = spec.draw(made_up_results(spec))
            saved.append(style.save(figure, tmp_path / name, spec.stem, spec.title))
    for first, second in zip(*saved, strict=True):
        assert first.read_bytes() == second.read_bytes()
    text = saved[0][0].read_text()
    assert "<dc:date>" not in text
    assert f"<dc:title>{spec.title}</dc:title>" in text


def test_settings_leave_the_callers_matplotlib_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    with style.settings():
        assert mpl.rcParams["svg.hashsalt"] == "mixdyn"
    assert dict(mpl.rcParams) == before


def test_rates_carry_clopper_pearson_intervals():
    rate, low, high = style.intervals([0, 5, 10], 10)
    np.testing.assert_array_equal(rate, [0.0, 0.5, 1.0])
    # Zero of ten: the upper end solves (1 - p)^10 = 0.025.
    np.testing.assert_allclose(high[0], 1 - 0.025**0.1, rtol=1e-12)
    np.testing.assert_allclose(low[2], 0.025**0.1, rtol=1e-12)
    assert low[0] == 0.0
    assert high[2] == 1.0


def test_a_result_survives_its_file_and_a_damaged_file_counts_as_none(tmp_path):
    spec = FIGURES["E.14"]
    result = made_up_results(spec)["terminal"]
    path = tmp_path / "deep" / "result.npz"
    result.save(path)
    again = Result.load(path)
    assert again is not None
    assert json.dumps(again.recipe, sort_keys=True) == json.dumps(result.recipe, sort_keys=True)
    assert set(again.data) == set(result.data)
    for name, values in result.data.items():
        np.testing.assert_array_equal(again[name], values)
    path.write_bytes(path.read_bytes()[:100])
    assert Result.load(path) is None
    assert Result.load(tmp_path / "nowhere.npz") is None


def test_a_title_of_wide_letters_ends_within_the_figure():
    spec = FIGURES["3L"]
    with style.settings():
        figure, _ = style.new_figure(9.0, 3.9, columns=2)
        (result, *_) = made_up_results(spec).values()
        style.finish(figure, " ".join(["MWM %"] * 40), result)
        assert figure._suptitle.get_window_extent().x1 < figure.bbox.x1
