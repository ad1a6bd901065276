"""`mixdyn warmup`: compile every kernel once and keep the code where later processes find it."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mixdyn.samplers.options import Options, samplers
from mixdyn.support.errors import FileError, InputError
from mixdyn.support.provenance import usable_cores

_KERNELS = Path(__file__).resolve().parents[1] / "kernels"  # their folder of code is theirs alone
_REMEDY = "Set NUMBA_CACHE_DIR to a folder you may write to."
_DAMAGE = (pickle.PickleError, EOFError)  # what Numba lets through from a file cut short
_KEPT = ("*.nbi", "*.nbc")


@dataclass(frozen=True)
class WarmupSummary:
    """Where the compiled kernels lie, how many files and bytes they are, how long it took, and what
    had to be avoided (None when the first choice of folder was fine)."""

    folder: str
    files: int
    bytes: int
    seconds: float
    removed: int
    warning: str | None


def candidates() -> Iterator[tuple[str, Path]]:
    """The folders in which Numba looks for room, in its order, with what makes each a choice."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    if named:
        yield "NUMBA_CACHE_DIR", Path(named)
    yield "the package's own folder", _KERNELS / "__pycache__"
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    yield "the user's cache", Path(home).expanduser() / "numba"


def is_writable(folder: Path) -> bool:
    """Whether files can be made in `folder`, tried out: permission bits say too little (read-only
    file systems, full disks, a file in the way)."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def check_cache() -> str | None:
    """A warning where the first choice of folder cannot be used and Numba takes another.

    Raises FileError where none can: Numba would refuse to be imported with a traceback.
    """
    tried = list(candidates())
    usable = [(name, folder) for name, folder in tried if is_writable(folder)]
    if not usable:
        folders = ", ".join(str(folder) for _, folder in tried)
        raise FileError("a folder for compiled kernels must be writable", folders, _REMEDY)
    if usable[0] == tried[0]:
        return None
    (name, first), (other, folder) = tried[0], usable[0]
    taken = f"compiled kernels go to {other} ({folder})"
    return f"{name} ({first}) is not writable: {taken}. {_REMEDY}"


def cache_folder() -> Path:
    """Where Numba keeps the kernels of this process (imports them). InputError where it compiles
    nothing: a kernel is then the plain function."""
    from mixdyn import kernels

    folder = kernels.cache_folder()
    if folder is None:
        raise InputError(
            "warmup compiles the kernels", "NUMBA_DISABLE_JIT, which has none compiled", "Unset it."
        )
    return folder


def kept_files(folder: Path) -> list[Path]:
    """The files of compiled kernels in a folder."""
    return sorted(path for pattern in _KEPT for path in folder.glob(pattern))


def clear(folder: Path) -> int:
    """Remove the kernels kept in a folder, stale and damaged ones too; how many files."""
    found = kept_files(folder)
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


def tasks() -> list[tuple[str, Callable[[], object]]]:
    """Small runs that together meet every kernel, with what to call them."""
    from mixdyn.geometry import classify
    from mixdyn.learned.architecture import Architecture
    from mixdyn.problem import presets
    from mixdyn.problem.mixture import GaussianMixture
    from mixdyn.problem.noise import path_normals, standard_normals
    from mixdyn.problem.schedule import NoiseSchedule
    from mixdyn.run.rare import rare_event
    from mixdyn.run.sampling import sample
    from mixdyn.samplers.ddim import DDIM, DDPM
    from mixdyn.score import ExactScore, as_model
    from mixdyn.score.residual import ResidualNetwork
    from mixdyn.solvers.field import v_grid
    from mixdyn.solvers.integrators import EulerMaruyama, integrate_ode, integrate_sde

    schedule = NoiseSchedule.linear(T=8, beta_start=0.01, beta_end=0.3)
    product, general = presets.grid(side=3), presets.ring()
    ddim, x = DDIM(steps=4), np.linspace(-1.0, 1.0, 8).reshape(4, 2)
    foreign, wide = as_model(lambda points, _: points), np.zeros((4, 16))
    hull = GaussianMixture(np.eye(2, 16), 0.1)
    ellipsoids = GaussianMixture(general.means, variances=[0.1, 0.2])
    steep = NoiseSchedule.linear(T=2, beta_start=1e-5, beta_end=0.5)
    scattered = np.random.default_rng(0).normal(size=(1024, 4))
    plane, space = (GaussianMixture(scattered[:, :d], 0.02) for d in (2, 4))
    v = v_grid(schedule, ddim.grid(schedule), general)
    zeros = {name: np.zeros(shape) for name, shape in Architecture(embedding=2).shapes().items()}
    networks = [ResidualNetwork(zeros, np.zeros((9, 2)), real) for real in ("float32", "float64")]

    def run(model: object, sampler: object = ddim, **options: object) -> Callable[[], object]:
        return lambda: sample(model, schedule, sampler, x=x, rng=0, **options)  # type: ignore[arg-type]

    def single(mixture: GaussianMixture) -> ExactScore:
        return ExactScore(mixture, schedule, precision="single")

    def few(kind: type[Options]) -> Options:
        return kind.chosen({"steps": 4} if "steps" in kind.offers() else {}, schedule)

    return [  # what takes longest first, for two processes to share
        ("general mixture", run(general, DDPM())),
        ("product mixture", run(product, DDPM())),
        ("general mixture, float32", run(single(general), DDPM())),
        ("product mixture, float32", run(single(product), DDPM())),
        ("residual network", lambda: networks[0].eps(x, 4)),
        ("residual network, float64", lambda: networks[1].eps(x, 4)),
        ("very many modes in a plane", lambda: sample(plane, steep, DDIM(steps=2), x=x, rng=0)),
        ("very many modes in space", lambda: sample(space, schedule, ddim, n=4, rng=0)),
        ("modes of any covariance", run(ellipsoids)),
        ("noise", lambda: standard_normals(0, 4, 2, 1)),
        ("noise along a path", lambda: path_normals(0, 4, 2, schedule, (4, 1))),
        ("steps of any model", run(foreign)),
        ("steps in float32", run(single(general), keep="trajectory")),
        ("steps of a general mixture", run(general, keep="trajectory")),
        ("steps of a product mixture", run(product, keep="trajectory")),
        ("means in a hull", lambda: sample(hull, schedule, ddim, x=wide, rng=0)),
        *((f"the sampler {name}", run(general, few(kind))) for name, kind in samplers().items()),
        ("rare events", lambda: rare_event(product, schedule, DDIM(steps=4, eta=1.0), n=2, rng=0)),
        ("density", lambda: general.log_density(x)),
        ("score", lambda: general.score(x)),
        ("score of any covariance", lambda: ellipsoids.score(x)),
        ("responsibilities", lambda: general.responsibilities(x)),
        ("jacobian", lambda: ExactScore(general, schedule).jacobian(x, 4)),
        ("probability-flow ODE", lambda: integrate_ode(general, x, v)),
        ("reverse SDE", lambda: integrate_sde(general, x, v, EulerMaruyama(), rng=0)),
        ("classification", lambda: classify(general, x)),
        ("classification of any covariance", lambda: classify(ellipsoids, x)),
    ]


def _run(work: list[tuple[str, Callable[[], object]]]) -> Iterator[str]:
    """The name of each task before it is waited for: they are shared among a process a core, which
    all keep what they compile in one folder and never compile the same."""
    processes = min(usable_cores(), len(work))
    if processes == 1:
        for name, task in work:
            yield name
            task()
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        for name, done in [(name, pool.submit(_do, name)) for name, _ in work]:
            yield name
            done.result()


def _do(name: str) -> None:
    dict(tasks())[name]()


def warm_up(fresh: bool, progress: Callable[[int, int, str], None]) -> WarmupSummary:
    """Compile what is not kept yet; with `fresh`, everything.

    Raises FileError where no folder is writable, the disk fills up, or what is kept is damaged.
    """
    began, warning = time.perf_counter(), check_cache()
    folder = cache_folder()
    removed = clear(folder) if fresh else 0
    work = tasks()
    try:
        for k, name in enumerate(_run(work)):
            progress(k, len(work), f"compiling: {name}")
    except OSError as error:
        raise FileError(
            "compiled kernels must fit the disk", f"{folder} ({error.strerror})", _REMEDY
        ) from None
    except _DAMAGE as error:
        raise FileError(
            "kept kernels must be whole",
            f"damaged files in {folder} ({type(error).__name__})",
            "Run `mixdyn warmup --fresh`.",
        ) from None
    progress(len(work), len(work), "compiled")
    kept = kept_files(folder)
    size = sum(path.stat().st_size for path in kept)
    took = time.perf_counter() - began
    return WarmupSummary(str(folder), len(kept), size, took, removed, warning)


def print_warmup(summary: WarmupSummary, quiet: bool) -> None:
    """The result of `mixdyn warmup`; a warning goes to standard error."""
    if summary.warning is not None:
        sys.stderr.write(f"warning: {summary.warning}\n")
    if not quiet:
        sys.stdout.write(
            f"{summary.files} files, {summary.bytes / 1e6:.1f} MB, in {summary.folder} "
            f"({summary.seconds:.1f} s)\n"
        )
