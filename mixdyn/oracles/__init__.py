"""Closed forms that engine and theorems are checked against; they share no arithmetic with them.

Read is only a mixture's data (means, sigma, weights) and a schedule's arrays.

O1 `reverse_law` (also `reverse_mixture`, `reverse_moments`): exact reverse SDE between any levels.
O2 `flow_map`, `flow_map_arb`, `trap_radius`: exact probability-flow ODE of separable mixtures.
O3 `affine_hull`, `orthogonal_flow`, `orthogonal_reverse`: linear across the hull of the means.
O4 `two_mode_drift` and its equilibria. X4 contraction factors, X6 hybrids.
X7 `linear_recursion_std`, X8 `late_noise_std`: the spread that samplers return in one mode.
X14 `kernel_excess`: what a Gaussian kernel other than the nearest one costs.
M5' `window_variance_law`, `expected_window_variance`: the detector Hal.
X13 `channel_mmse`, `channel_nats`, `grid_price`: what noise leaves and tells, and grids in nats.
X15, X16 `gaussian_return`, `two_mode_return`: whether two draws from one noisy state end alike.
X11 `chain_law`: the discrete chain of a sampler with the exact score, on product grids.
X19 `first_order_std`, `first_order_levels`: what DDIM's first order leaves.
X17 `guided_flow`: the flow guided towards a mode, on lines and their products.
"""

from .chain_law import (
    AxisLaw,
    chain_law,
    log_away_probability,
    log_gap_probability,
    log_middle_probability,
)
from .clones import information_rho, log_two_mode_parting, two_mode_return
from .first_order import LevelError, first_order_levels, first_order_std
from .flow import flow_map
from .flow_arb import flow_map_arb
from .gaussian_kernel import kernel_excess
from .gaussian_return import gaussian_return
from .guidance import guided_flow
from .hybrid import hybrid_log_interval, hybrid_sample
from .information import channel_mmse, channel_nats, grid_price
from .late_noise import late_noise_std
from .linear import linear_recursion_std
from .normal import log_interval
from .reduction import (
    AffineHull,
    affine_hull,
    ode_contraction,
    orthogonal_flow,
    orthogonal_reverse,
    sde_contraction,
)
from .reverse import ReverseLaw, reverse_law, reverse_mixture, reverse_moments
from .trap import Trap, trap_radius
from .two_modes import (
    reverse_bisector_drift,
    two_mode_drift,
    two_mode_equilibria,
    two_mode_logit,
    two_mode_slope,
)
from .window_variance import (
    QuadraticForm,
    expected_window_variance,
    pair_error,
    window_covariance,
    window_variance_law,
)

__all__ = [
    "AffineHull",
    "AxisLaw",
    "LevelError",
    "QuadraticForm",
    "ReverseLaw",
    "Trap",
    "affine_hull",
    "chain_law",
    "channel_mmse",
    "channel_nats",
    "expected_window_variance",
    "first_order_levels",
    "first_order_std",
    "flow_map",
    "flow_map_arb",
    "gaussian_return",
    "grid_price",
    "guided_flow",
    "hybrid_log_interval",
    "hybrid_sample",
    "information_rho",
    "kernel_excess",
    "late_noise_std",
    "linear_recursion_std",
    "log_away_probability",
    "log_gap_probability",
    "log_interval",
    "log_middle_probability",
    "log_two_mode_parting",
    "ode_contraction",
    "orthogonal_flow",
    "orthogonal_reverse",
    "pair_error",
    "reverse_bisector_drift",
    "reverse_law",
    "reverse_mixture",
    "reverse_moments",
    "sde_contraction",
    "trap_radius",
    "two_mode_drift",
    "two_mode_equilibria",
    "two_mode_logit",
    "two_mode_return",
    "two_mode_slope",
    "window_covariance",
    "window_variance_law",
]
