"""Each figure draws a quick measurement, states its numbers, and saves the same bytes."""

import sys
from typing import get_type_hints

import numpy as np
import pytest

from mixdyn import presets
from mixdyn.geometry import Region
from mixdyn.problem.schedule import NoiseSchedule
from mixdyn.support.numbers import Log10, show_number, show_share
from tests import toy_images
from verify.drawing import style
from verify.ledger.case import Case
from verify.measure.images import pictures
from verify.measure.interpolation import densities as line_densities
from verify.measure.interpolation import proved_rates, smoothing
from verify.measure.measurement import Measurement, pack, unpack
from verify.measure.networks import ablated, frontier, models
from verify.measure.score_errors.blurred import blurred_score
from verify.report.figures import FIGURES, draw_figures

pytest.importorskip("torch")


def blurred(case):
    """Two scores with an error, in place of trained networks."""
    return [
        models.TrainedModel(
            f"blur {blur}", blurred_score(case.mixture, case.schedule, blur), "r", k
        )
        for k, blur in enumerate((0.25, 0.3))
    ]


@pytest.fixture(scope="module")
def case():
    """A small problem, on which every measurement takes few samples and few networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Case, "pick", lambda self, quick, full: max(quick // 300, 40))
        patch.setattr(models, "trained_models", blurred)
        patch.setattr(ablated, "trained_models", blurred)
        patch.setattr(ablated, "AXES", {"T": (500,), "sigma": (0.02,), "spacing": (2.0,)})
        patch.setattr(frontier, "elsewhere", lambda case: models.elsewhere(case)[:2])
        patch.setattr(pictures, "drawn", toy_images.drawn)
        patch.setattr(pictures, "saved_runs", toy_images.runs)
        patch.setattr(proved_rates, "LINES", proved_rates.LINES[:1])
        for module in (line_densities, smoothing, proved_rates):
            every = module.networks
            patch.setattr(module, "networks", lambda *args, every=every: every(*args)[-1:])
        yield Case("standard", presets.grid(3), NoiseSchedule.linear(60, 1e-4, 0.3))


def drawn(spec, case):
    with style.settings():
        return spec.draw(spec.result(case))


def message_of(figure) -> str:
    return " ".join(figure.get_suptitle().split())


def percent(counts, regions=Region.INTERPOLATION):
    """How many of class counts (..., 3) are in the regions."""
    counts = counts.reshape(-1, counts.shape[-1]).sum(axis=0)
    return f"{100.0 * counts[regions].sum() / counts.sum():.2g} %"


def nearest(values, value):
    return int(np.argmin(np.abs(values - value)))


def last_share(r, name):
    rows = r["counts"][np.array(r.labels("filters")) == name, -1]
    return f"{100.0 * np.mean(rows[:, Region.INTERPOLATION] / rows.sum(axis=1)):.2g} %"


def late_motion(paths):
    steps = np.linalg.norm(np.diff(paths, axis=0), axis=2)
    return np.nanmedian(steps[len(steps) // 2 :].sum(axis=0))


def last_saddle(r):
    at = np.flatnonzero(np.isfinite(r["saddle"]))[-1]
    return f"t = {r['times'][at]}: {r['saddle'][at]:.2f} l against {r['separatrix'][at]:.2f} l"


def fall_of_ddim(r):
    later = r["ddim_quantiles"][2][r["ddim_times"] <= np.median(r["tau_1_fixed"])]
    return f"falls {later[0] / later[-2]:.1f}-fold"


def hits_of_visits(r):
    _, visits, _, both = r["by_window"][0, 0].sum(axis=0)
    return f"to {100.0 * both / visits:.2g} %, while"


def published_radius(r):
    return show_number(Log10(float(r["paper"][0, nearest(r["taus"], r["tau_2"])])), 2)


def first_thrown(r):
    out = (np.abs(r["few"]) > 5.0).sum(axis=1) > len(r["start"]) / 2
    return f"DDIM-10 most from w = {r['weights'][out].min():g}"


def engine_off_segment(r):
    (path,) = r["paths"][r["wide"] == r["stds"][1]]
    return f"certified {np.sqrt(2.0) * np.std(path[-1]):.3f} off"


def outside_of_checked(r):
    k = list(zip(r.labels("family"), r["budget"], strict=True)).index(("checked + checks", 20))
    return f"CheckedNoise leaves {percent(r['counts'][:, k], [1, 2])} outside"


def halves_of(r):
    least, most = sorted(r["half"][r["half_d"] == 64])
    first = min(r["half"][r["half_d"] == 2])
    return f"{least:.2f} to {most:.2f} times that variance in 64 dimensions, {first:.2f} to"


def half_decided(r):
    t = np.linspace(1.0, r["times"][-1], 1_000_000)
    p = np.interp(np.log(t), np.log(r["times"]), r["probability"])
    return f"decided at t = {t[nearest(p - r['chance'], (1.0 - r['chance']) / 2.0)]:.0f}"


# What the message must state, from the arrays by another route.
def price_of(result, steps):
    at = nearest(result["counts"], steps)
    return float(result["own_start"][0, at] + result["own_steps"][0, at])


def last_repeated(r):
    ends = zip(r.labels("filters"), r["wrong"][:, -1], r["n_at"][:, -1], strict=True)
    return ", ".join(f"{name} {100.0 * k / n:.2g} %" for name, k, n in ends)


STATED = {
    "A4.1": lambda r: f"tau_1 = {r['fixed'][0, 3, 1]:.0f} to {r['fixed'][-1, 3, 1]:.0f} at kappa",
    "T4.2": lambda r: f"{np.isfinite(r['saddles'][:, 0]).sum()} of {len(r['pairs'])} segments",
    "P4.7 (1)": lambda r: f"{r['two_modes'][0]:.3g} at t = {r['times'][0]}",
    "P5.1": lambda r: f"({10 ** r['over_theta'][nearest(r['theta'], 0.15), 0]:.2f} at theta",
    "B.1 (1)": last_saddle,
    "C.4": lambda r: f"of {r['found']:,} equilibria",
    "D.1": lambda r: f"({percent(r['counts'][-1], 2)} on the grid sheared",
    "E.10": lambda r: f"and {100.0 * r['wrong'][1, -1] / r['n_at'][1, -1]:.2g} % after 6,000",
    "E.10 samples": lambda r: f"{100.0 * r['wrong'][0] / r['n'][0]:.2g} % wrong",
    "E.2": lambda r: f"In {r['d'][0]} to {r['d'][-1]} dimensions DDIM misses the modes on",
    "E.11": hits_of_visits,
    "E.12": lambda r: f"negative at {(r['growth'] <= 0.0).sum()} of {r['growth'].size} places",
    "E.13": lambda r: f"{percent(r['counts'][:, 0])} at eta = 0",
    "E.16": lambda r: f"of {len(r['settings'])} settings",
    "E.16 synthetic": lambda r: f"({percent(r['spacing_counts'][0, 0], [1, 2])} at spacing 2",
    "F1": lambda r: f"of {r['exact'][:, 0].sum():,} with that DDIM",
    "F3": lambda r: f"DDPM makes {percent(r['counts'][:, -1])}",
    "F4": lambda r: f"{r['ddim_quantiles'][1:, 1, -2].mean():.2g} l on trained networks",
    "F5": lambda r: f"interpolate on {show_share(r['hits'][0, :, 0, 1].mean() / r.count(), 2)}",
    "X2": fall_of_ddim,
    "X3": published_radius,
    "X4": lambda r: f"closed form {(0.5 - r['radius'][0]) * r['factor_sde']:.4f} l",
    "X7 samplers": lambda r: f"of {(~r['ours']).sum()} public samplers",
    "X7": lambda r: f"{percent(r['counts'][0, 0])} at eta = 0",
    "X8": lambda r: f"leaves {percent(r['counts'][:, r.labels('family').index('DDPM')], [1, 2])}",
    "X8 elsewhere": lambda r: f"of {len(r['models'])} (by",
    "X10": lambda r: f"at most {r['rate'][:, :2].max():.1g} of the samples",
    "X11": lambda r: f"most {100 * r['coarse_guarantee'][1, nearest(r['coarse_eta'], 1)]:.2g} %",
    "X12": engine_off_segment,
    "X13": lambda r: f"{r['learning'].min():.2g} to {r['learning'].max():.2g} nats for learning",
    "X13'": lambda r: f"pay {price_of(r, 30):.2g} nats",
    "X14": outside_of_checked,
    "X15": halves_of,
    "X16": half_decided,
    "X17": lambda r: f"ends {r['sampled exact'][nearest(r['sampled weights'], 7)]:.2g} σ past",
    "X17'": first_thrown,
    "X18": lambda r: f"demands {100 * np.median(r['line'][:, 0]):.0f} % of what",
    "X19": lambda r: f"leave W2 = {r['one'][0, nearest(r['steps'], 20)]:.2g} σ of one mode",
    "X20": lambda r: f"cosine {r.number('cosine'):.2g}",
    "X21": lambda r: f"DDIM leaves {show_share(r['measured'].mean(), 2)} more of its samples",
    "X22": lambda r: f"probability {r['proved'].max():.4f} at least",
    "X23": lambda r: f"Below rho = {r.number('half'):.2g} the score sees",
    "W4": lambda r: f"leave W2 = {r['truncated'][4].min():.2g} at its best truncation",
    "M1": lambda r: f"DDPM {percent(r['counts'][:, -1])}",
    "M2": lambda r: f"instead of {r['exact_eigenvalue'][nearest(r['times'], 3)]:.2g}",
    "M3": lambda r: "{} lie on sides of cells, {} on diagonals".format(*r["counts"].sum(axis=0)),
    "M4": lambda r: f"to {r['rate'][nearest(r['line'], r.labels('lines').index('1-2-3'))]:.1e}",
    "M4 lines": lambda r: f"{r['rate'][nearest(r['line'], r.labels('lines').index('1-2'))]:.1e}",
    "M5": lambda r: f"removes {100 * r['removed'][0]:.3g} % of the hallucinations",
    "M5 paths": lambda r: f"{late_motion(r['wrong'][1]) / late_motion(r['right'][1]):.1f} times on",
    "M6": lambda r: f"interpolates {last_share(r, 'none')} of the time",
    "M6 samples": lambda r: f"{last_share(r, 'hal')} with Hal's",
    "M8 (1)": lambda r: f"{100.0 * len(r['hallucinations']) / r.count():.2g} % of images repeat",
    "M8 (2)": last_repeated,
    "M8 (3)": lambda r: f"random {r['fid'][r.labels('filters').index('random'), -1]:.3g}",
}


@pytest.mark.slow
@pytest.mark.parametrize("spec", FIGURES.values(), ids=FIGURES)
def test_a_figure_states_its_numbers_labels_its_axes_and_is_small(spec, case, tmp_path):
    with style.settings():
        figure = drawn(spec, case)
        assert figure._suptitle.get_window_extent().x1 < figure.bbox.x1
        svg, png = style.save(figure, tmp_path, spec.stem, spec.title)
    message = message_of(figure)
    assert STATED[spec.id](spec.result(case)) in message
    assert "nan" not in message
    for ax in figure.axes:
        assert ax.get_xlabel()
    assert figure.axes[0].get_ylabel()
    assert 2_000 < svg.stat().st_size < 300_000
    assert png.read_bytes().startswith(b"\x89PNG")


def test_every_value_that_figures_share_with_claims_is_found_again_as_it_was(case):
    for figure in ("C.4", "E.12", "E.13", "F4", "F5", "M2", "M3"):
        FIGURES[figure].result(case)
    modules = [module for name, module in sys.modules.items() if name.startswith("verify.")]
    every = {m for module in modules for m in vars(module).values() if isinstance(m, Measurement)}
    named = {f"{m.__module__}.{m.__qualname__}": m.__wrapped__ for m in every}
    measured = [(named[k.partition("(")[0]], v) for k, v in case.workspace.items() if "seed" in k]
    assert len({function for function, _ in measured}) > 15
    for function, value in measured:
        arrays = dict(pack(value))
        again = dict(pack(unpack(get_type_hints(function)["return"], arrays)))
        assert again.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(again[name], array)


@pytest.mark.parametrize("figure", ["M1", "D.1"])
def test_a_figure_drawn_twice_is_the_same_bytes_without_a_date(figure, case, tmp_path):
    spec = FIGURES[figure]
    first, second = (
        found.paths for name in "ab" for found in draw_figures([figure], case, tmp_path / name)
    )
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    text = first[0].read_text()
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
    assert [side.shape for side in style.intervals([], [])] == [(0,)] * 3


def test_a_title_of_wide_letters_ends_within_the_figure(case):
    with style.settings():
        figure, _ = style.new_figure(9.0, 3.9, columns=2)
        style.finish(figure, " ".join(["MWM %"] * 40), FIGURES["M1"].result(case))
        assert figure._suptitle.get_window_extent().x1 < figure.bbox.x1
