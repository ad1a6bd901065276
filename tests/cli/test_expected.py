"""What people look for on the command line is there: names, defaults, weights, spread."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import mixdyn
from mixdyn import presets
from mixdyn.cli import app
from mixdyn.cli.diagnosis import CheckRequest, diagnose
from mixdyn.cli.words import explain
from mixdyn.problem.named import MIXTURES
from mixdyn.problem.schedule import SCHEDULES, NoiseSchedule
from mixdyn.support.errors import InputError
from verify.ledger import cases
from verify.ledger.case import Profile

SHORT = "linear:T=40,beta_start=0.01,beta_end=0.3"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Call `mixdyn ARGUMENTS` in a folder with models."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_models.py").write_text(
        "import mixdyn\n\n"
        "schedule = mixdyn.NoiseSchedule.linear(40, 0.01, 0.3)\n"
        "left = mixdyn.GaussianMixture([[-1.0]], 0.05)\n"
        "only_left = mixdyn.ExactScore(left, schedule)\n\n\n"
        "def nothing(x, t):\n    return 0.0 * x\n\n\n"
        "def clean(x, i):\n    return only_left.x0(x, i + 1)\n"
    )
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def _sample(run, *options):
    out = run("sample", "--schedule", SHORT, "--out", "s.npz", *options)
    assert out.exit_code == 0, out.output
    return out.stdout


def _modes(run, *options):
    return json.loads(_sample(run, "--json", *options))["modes"]


def test_sample_reports_the_weights_that_came_out(run):
    modes = _modes(run, "--mixture", "line", "-n", 3000, "--sampler", "exact")
    x = np.load("s.npz")["x"]
    nearest = np.abs(x - [1.0, 2.0, 3.0]).argmin(axis=1)
    assert modes["counts"] == np.bincount(nearest, minlength=3).tolist()
    assert modes["weights"] == [1 / 3] * 3
    for k in range(3):
        offset = x[nearest == k, 0] - (k + 1)
        expected = np.sqrt(np.mean(offset**2)) / 0.05
        assert modes["spreads"][k] == pytest.approx(expected, rel=1e-9)
    share = np.array(modes["counts"]) / 3000
    assert modes["divergence"] == pytest.approx(np.sum(share * np.log(3 * share)), rel=1e-9)
    assert modes["chance_divergence"] == 2 / (2 * 3000)
    assert modes["lost"] == []
    assert modes["untold"] == 0


def test_sample_names_the_modes_that_a_model_has_lost(run):
    options = ["--mixture", "two_modes", "-n", 200, "--sampler", "ddpm"]
    modes = _modes(run, *options, "--model", "own_models:only_left")
    assert modes["lost"] == [1]
    assert modes["counts"] == [200, 0]
    assert modes["spreads"][1] is None
    text = _sample(run, *options, "--model", "own_models:only_left")
    assert "lost modes (less than a tenth of what is due): 1." in text
    assert "Spread within modes" in text
    assert "KL of the shares from the weights 0.693 nats" in text


def test_a_mode_due_few_samples_is_not_called_lost(run):
    options = [
        "--mixture",
        "two_modes",
        "-n",
        39,
        "--sampler",
        "ddpm",
        "--model",
        "own_models:only_left",
    ]
    modes = _modes(run, *options)
    assert (modes["lost"], modes["untold"]) == ([], 2)
    assert "2 due too few samples to tell" in _sample(run, *options)


def test_a_run_with_no_sample_in_a_mode_says_so(run):
    text = _sample(
        run, "--mixture", "two_modes", "-n", 5, "--steps", 9, "--model", "own_models:nothing"
    )
    assert "No sample is in a mode." in text


def test_the_table_of_modes_begins_with_the_farthest_from_its_weight(run):
    text = _sample(run, "--mixture", "line:n=14", "-n", 500, "--sampler", "ddpm")
    assert "the 10 of 14 farthest from their weight" in text


def test_a_list_of_times_is_a_grid(run):
    _sample(run, "--mixture", "two_modes", "-n", 2, "--times", "40,9,2")
    assert np.load("s.npz")["times"].tolist() == [40, 9, 2, 0]
    expected = mixdyn.sample(
        presets.two_modes(),
        NoiseSchedule.linear(40, 0.01, 0.3),
        mixdyn.ProbabilityFlow(spacing=mixdyn.TimeGrid([40, 9, 2, 0], 40)),
        n=2,
        rng=0,
    )
    _sample(run, "--mixture", "two_modes", "-n", 2, "--times", "40,9,2,0", "--sampler", "ode")
    assert np.array_equal(np.load("s.npz")["x"], expected.x)


@pytest.mark.parametrize("spacing", ["linspace", "trailing"])
def test_new_spacings_are_options(run, spacing):
    _sample(run, "--mixture", "two_modes", "-n", 2, "--steps", 7, "--spacing", spacing)
    expected = getattr(mixdyn.TimeGrid, spacing)(40, 7).times
    assert np.array_equal(np.load("s.npz")["times"], expected)


@pytest.mark.slow
def test_single_precision_and_a_number_of_threads_are_options(run):
    _sample(run, "--mixture", "ring", "-n", 300, "--steps", 9, "--threads", 1)
    double = np.load("s.npz")["x"]
    _sample(run, "--mixture", "ring", "-n", 300, "--steps", 9, "--precision", "single")
    single = np.load("s.npz")["x"]
    gap = np.abs(single - double)
    assert np.median(gap) < 1e-4
    assert gap.max() > 0.0
    exact = mixdyn.ExactScore(
        presets.ring(), NoiseSchedule.linear(40, 0.01, 0.3), precision="single"
    )
    run_ = mixdyn.sample(exact, exact.schedule, mixdyn.DDIM(9), n=300, rng=0)
    assert np.array_equal(single, run_.x)
    _sample(run, "--mixture", "ring", "-n", 300, "--steps", 9)
    assert np.array_equal(np.load("s.npz")["x"], double)


def test_presets_lists_every_name_with_its_options(run):
    text = run("presets").stdout
    for name in (*MIXTURES, *SCHEDULES):
        assert f"  {name}:" in text
    assert "farthest_point:d=VALUE,n=25" in text


# -- check ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mixture",
    [
        mixdyn.GaussianMixture([[0.5, 0.0]], 0.1),
        mixdyn.GaussianMixture([[0.0], [0.0]], [0.1, 0.2]),
    ],
    ids=["one mode", "two at one place"],
)
def test_modes_at_one_place_are_checked_without_pairs(run, mixture, tmp_path):
    found = diagnose(CheckRequest(mixture, NoiseSchedule.linear()), lambda _done, _total: None)
    assert (found.pairs, found.crossings, found.stages) == ([], [], [])
    assert any("All modes are at one place" in note for note in found.notes)
    ddpm = next(row for row in found.spread if row.sampler.startswith("DDPM"))
    assert 0.9 < ddpm.final_over_sigma < 1.0
    assert any("Within a mode" in sentence for sentence in explain(found))
    mixture.save(tmp_path / "m.toml")
    out = run("check", "m.toml")
    assert out.exit_code == 0, out.output
    assert "No two modes at different places" in out.stdout
    assert run("check", "m.toml", "--json").exit_code == 0


# -- the ledger ----------------------------------------------------------------------------------


def test_the_ledger_takes_names_for_files():
    case = cases.user("ring:n=5", "cosine:T=60", 0, Profile.QUICK)
    assert case.mixture == presets.ring(5)
    assert case.schedule == NoiseSchedule.cosine(60)
    assert cases.user("grid", None, 0, Profile.QUICK).mixture == presets.grid()


def test_the_ledger_reads_a_model_as_it_is_told(run):
    problem = ("two_modes", SHORT, 0, Profile.QUICK)
    plain = cases.user(*problem, "own_models:clean")
    told = cases.user(*problem, "own_models:clean", predicts="x0", index_base=0)
    assert (told.predicts, told.index_base) == ("x0", 0)
    assert told.digest != plain.digest
    with pytest.raises(InputError, match="predicts must be one of"):
        cases.user(*problem, "own_models:clean", predicts="y")
    with pytest.raises(InputError, match="index_base must be an integer in 0"):
        cases.user(*problem, "own_models:clean", index_base=2)
    with pytest.raises(InputError, match="describe the function that --model names"):
        cases.user(*problem, predicts="x0")


def test_the_ledgers_models_predict_what_they_are_said_to(run):
    from verify.measure.networks.models import trained_models

    problem = ("two_modes", SHORT, 0, Profile.QUICK)
    told = cases.user(*problem, "own_models:clean", predicts="x0", index_base=0)
    score = trained_models(told)[0].score
    left = mixdyn.GaussianMixture([[-1.0]], 0.05)
    exact = mixdyn.ExactScore(left, NoiseSchedule.linear(40, 0.01, 0.3))
    x = np.linspace(-2, 2, 7)[:, None]
    assert score.eps(x, 5) == pytest.approx(exact.eps(x, 5), rel=1e-9, abs=1e-9)
