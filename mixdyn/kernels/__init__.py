"""Numba kernels: all that is compiled, and nothing that imports mixdyn, checks or raises.

Nothing else imports Numba; the facades (`mixture`, `score`, `noise`, `samplers`) check arguments.

compiling   how kernels are compiled, kept and threaded      arithmetic   single operations
noise       counter-based normals                            modes        sums over modes on a tile
evaluation  densities and scores of many points              axes         equally spaced modes
ellipsoids  modes of any covariance                          networks     a residual MLP
panels      products of matrices in registers            rows         single rows, in vectors
screened    very many modes, of which few are felt       products     all of them
listed      those that are felt, one by one              trees        very many in few dimensions
meshes      the same, at high noise                      rollouts     the steps of a sampler
tilted      draws towards rare events                ellipsoid_steps   their steps

Layout. Work runs on tiles of `TILE` samples held as a struct of arrays, (d, TILE), so that every
inner loop is a plain pass over TILE contiguous numbers. The last tile is padded by repeating rows.
A sample's bits depend on its inputs alone, not on its place in a tile, the number of threads, or
whether it went through a fused rollout or a single evaluation.

Precision. Float64, or float32 throughout where the arrays of a call are float32: Numba compiles
both from one text, and what has constants of its own (`exp2`) has two sets of them. Noise is drawn
in double and rounded.

Compiling. A kernel takes whole tiles of rows, which Python's threads share (`over_rows`), and is
compiled once a precision: the functions beside it pass it arrays of one layout, and numbers where
a written constant would be a type of its own. What it calls is compiled with it, once. An
evaluation is a rollout that stops at its first eps.

Each kernel calls functions of other files, which Numba's cache on disk does not look at: what is
kept bears the digest of this whole folder (`compiling`).
"""

from .arithmetic import EXP2_FLOOR, EXP2_FLOOR_SINGLE
from .axes import BLOCK, HEAD, MODES, NEAREST, POLYNOMIAL
from .compiling import TILE, cache_folder, forms, on_compile, threads
from .ellipsoid_steps import EllipsoidSteps, rollout_ellipsoids
from .ellipsoids import EllipsoidTable, ellipsoid_pull, squared_lengths
from .evaluation import (
    ModeTable,
    bits,
    lift,
    log_density,
    mode_table,
    project,
    responsibilities,
    scaled_pull,
    score,
    score_jacobian,
)
from .meshes import Mesh, finest, first_mesh, mesh_pull, next_mesh
from .networks import NORM_EPS, SLOPE, Weights, packed, padded, residual_mlp
from .noise import normals, path_normals, philox4x32
from .products import Modes, screened_modes
from .rollouts import product_pull, reverse_draw, rollout, rollout_product, step
from .screened import screened
from .tilted import tabulated, tilted
from .trees import Tree, near_order, tree, tree_pull
