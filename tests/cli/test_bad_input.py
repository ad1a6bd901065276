"""What a user can hand over wrongly: one line on stderr, exit code 2, nothing written."""

import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from mixdyn.cli import app

GOOD = "means = [[0.0], [1.0]]\nsigma = 0.1\n"
FILES = {
    "good.toml": GOOD,
    "nan.toml": "means = [[nan], [1.0]]\nsigma = 0.1\n",
    "negative_weight.toml": GOOD + "weights = [-1.0, 2.0]\n",
    "covariance.toml": "means = [[0.0], [1.0]]\nsigma = [[1.0, 0.0], [0.0, 1.0]]\n",
    "malformed.toml": "means = [[",
    "unknown_key.toml": GOOD + "colour = 3\n",
    "missing_key.toml": "sigma = 0.1\n",
    "one_mode.toml": "means = [[0.0]]\nsigma = 0.1\n",
    "steep.toml": 'kind = "linear"\nbeta_end = 1.5\n',
    "other_kind.toml": 'kind = "circular"\n',
    "beta_one.toml": 'kind = "beta"\nbeta = [0.1, 1.0, 0.2]\n',
    "turning.toml": 'kind = "alphas_sigmas"\nalphas = 1.0\nsigmas = [1.0, 5.0, 2.0]\n',
    "no_number.toml": 'kind = "alphas_sigmas"\nalphas = 1.0\nsigmas = [1.0, nan]\n',
    "negative_alpha.toml": 'kind = "alphas_sigmas"\nalphas = [1.0, -0.5]\nsigmas = [0.1, 1.0]\n',
    "one_table.toml": 'kind = "alphas_sigmas"\nsigmas = [0.1, 1.0]\n',
    "half_step.toml": 'kind = "linear"\nT = 1.5\n',
    "broken_module.py": "import a_module_that_is_not_there\n",
    "unreadable_module.py": "def f(:\n",
    "models.py": (
        "def nan(x, t):\n    return x * float('nan')\n"
        "def short(x, t):\n    return x[:1]\n"
        "def one_argument(x):\n    return x\n"
        "class Model:\n    def eps(self, x, t):\n        return x\n"
        "number = 3\n"
    ),
}
SAMPLE = ["sample", "--mixture", "good.toml", "-n", "4", "--out", "s.npz"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with good and bad files, as the current one."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "latin.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "noise.npz").write_bytes(b"PK\x03\x04 and no archive")
    (tmp_path / "a_folder.toml").mkdir()
    (tmp_path / "a_folder.npz").mkdir()
    np.savez("pickled.npz", means=np.array([[0.0], [1.0]], dtype=object), sigma=0.1)
    return tmp_path


def _refused(folder, arguments):
    before = sorted(path.name for path in folder.iterdir())
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    after = sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")
    assert after == [name for name in before if name != "__pycache__"]
    return result.stderr


MIXTURES = [
    ("nan.toml", "received nan at index (0, 0) in nan.toml"),
    ("negative_weight.toml", "weights must be > 0; received -1.0"),
    ("covariance.toml", "array of standard deviations"),
    ("malformed.toml", "a .toml file must be valid TOML"),
    ("latin.toml", "a .toml file must be valid TOML"),
    ("unknown_key.toml", "unknown keys ['colour']"),
    ("missing_key.toml", "missing keys ['means']"),
    ("absent.toml", "a parameter file must exist and be readable"),
    ("a_folder.toml", "a parameter file must exist and be readable"),
    ("noise.npz", "a .npz file must be an archive of plain named arrays"),
    ("pickled.npz", "pickled objects are refused"),
    ("models.py", "a parameter file must end in .toml or .npz"),
    ("sphere", "a mixture is a .toml or .npz file or one of grid, rotated_grid, diamond, line"),
    ("grid:side=0", "side must be an integer >= 1; received 0"),
    ("grid:size=3", "grid takes the options side, spacing, sigma"),
    ("grid:side", "each once, as key=value; received 'side'"),
    ("grid:side=3,side=4", "each once, as key=value; received 'side=4'"),
    ("grid:side=many", "the option side of grid is a number, True or False; received 'many'"),
    ("grid:side=__import__('os')", "the option side of grid is a number"),
    ("farthest_point", "farthest_point needs the option d"),
]


@pytest.mark.parametrize(("mixture", "message"), MIXTURES)
@pytest.mark.parametrize("command", ["check", "sample"])
def test_a_bad_mixture_is_refused_by_both_commands(folder, command, mixture, message):
    options = [mixture] if command == "check" else ["--mixture", mixture, "--out", "s.npz"]
    stderr = _refused(folder, [command, *options])
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1
    assert message in stderr


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("steep.toml", "every beta must lie strictly between 0 and 1"),
        ("other_kind.toml", "kind 'circular'"),
        ("beta_one.toml", "the last may be 1 (no signal); received beta_2 = 1.0 in beta_one.toml"),
        ("half_step.toml", "received 1.5 in half_step.toml"),
        ("turning.toml", "rise strictly with time; received 2.0 at time 3 in turning.toml"),
        ("no_number.toml", "sigmas must be finite; received nan"),
        ("negative_alpha.toml", "every alpha must be >= 0; received -0.5 at time 2"),
        ("one_table.toml", "kind 'alphas_sigmas' with ['sigmas']"),
        ("karras:sigma_min=90", "sigma_min must be below sigma_max; received 90.0 and 80.0"),
        ("flow_matching:shift=0", "shift must be > 0"),
        ("good.toml", "unknown keys ['means', 'sigma']"),
        ("linear:T=0", "T must be an integer"),
        ("circular", "or one of linear, scaled_linear, sigmoid, cosine"),
    ],
)
@pytest.mark.parametrize("arguments", [["check", "good.toml"], SAMPLE], ids=["check", "sample"])
def test_a_bad_schedule_is_refused_by_both_commands(folder, arguments, schedule, message):
    assert message in _refused(folder, [*arguments, "--schedule", schedule])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-n", "0"], "n must be an integer >= 1; received 0"),
        (["-n", "1000000000000"], "the kept states must fit memory_limit"),
        (["--seed", "-1"], "seed must be an integer in 0..18446744073709551615; received -1"),
        (["--seed", str(2**64)], "seed must be an integer in 0..18446744073709551615"),
        (["--steps", "1001"], "the number of steps must not exceed T = 1000; received 1001"),
        (["--steps", "0"], "the number of steps must be an integer >= 1"),
        (["--start", "800"], "start must be a time of the grid; received 800"),
        (["--times", "9,5,many"], "a decreasing list of whole numbers, separated by commas"),
        (["--times", "5,9,0"], "a time grid must decrease strictly and end at 0"),
        (["--times", "1001,0"], "times must not exceed T = 1000; received 1001"),
        (["--times", "9,0", "--steps", "3"], "--times lists the steps itself; received --steps 3"),
        (["--times", "9,0", "--spacing", "full"], "--times lists the steps itself"),
        (["--sampler", "ddpm", "--times", "9,0"], "--times does not apply to the sampler ddpm"),
        (["--guidance", "2"], "--guidance is a weight towards the class that --label names"),
        (["--label", "0"], "received --label without the other"),
        (["--guidance", "2", "--label", "2"], "a mode must be an integer in 0..1; received 2"),
        (["--guidance", "2", "--label", "0,0"], "each named once; received [0, 0]"),
        (["--guidance", "2", "--label", "a"], "whole numbers separated by commas; received 'a'"),
        (["--guidance", "nan", "--label", "0"], "weight must be a finite real number"),
        (["--guidance", "2", "--label", "0", "--sampler", "exact"], "received --guidance 2.0"),
        (["--guidance", "2", "--label", "0", "--precision", "single"], "GuidedScore.between"),
        (["--guidance", "2", "--label", "0", "--device", "cpu"], "--device places a checkpoint"),
        (["--eta", "-0.5"], "eta must be >= 0"),
        (["--precision", "half"], "precision must be one of double, single"),
        (["--precision", "single", "--model", "models:nan"], "--precision is that of the exact"),
        (["--device", "cuda"], "--device places a checkpoint; received --device cuda for the ex"),
        (["--device", "cpu", "--model", "models:nan"], "--device places a checkpoint"),
        (["--threads", "0"], "threads must be an integer in 1.."),
        (["--threads", "9223372036854775808"], "threads must be an integer in 1.."),
        (["--eta", "9"], "eta must not exceed 1/sqrt(1 - rho_s/rho_t)"),
        (["--sampler", "ddpm", "--eta", "0.5"], "--eta does not apply to the sampler ddpm"),
        (["--z", "3"], "--z does not apply to the sampler ddim"),
        (["--sampler", "exact", "--eta", "1"], "--eta does not apply to the sampler exact"),
        (["--sampler", "hybrid", "--z", "-1"], "z must be an integer >= 0"),
        (["--sampler", "exact", "--model", "models:nan"], "the sampler exact draws from the"),
        (["--model", "models"], "--model is written module:name; received 'models'"),
        (["--model", ".models:nan"], "--model is written module:name"),
        (["--model", "absent_module:f"], "ModuleNotFoundError: No module named 'absent_module'"),
        (["--model", "broken_module:f"], "No module named 'a_module_that_is_not_there'"),
        (["--model", "unreadable_module:f"], "SyntaxError: invalid syntax"),
        (["--model", "models:absent"], "the module models must define absent"),
        (["--model", "models:number"], "a function f(x, t) or an object with a method eps(x, t)"),
        (["--model", "models:Model"], "a function f(x, t) or an object with a method eps(x, t)"),
        (["--model", "models:one_argument"], "a function f(x, t) or an object"),
        (["--model", "models:nan"], "must be finite"),
        (["--model", "models:short"], "the model must return one row per point"),
        (["--model", "models:nan", "--predicts", "y"], "predicts must be one of eps, x0, v, score"),
        (["--model", "models:nan", "--index-base", "2"], "index_base must be an integer in 0..1"),
        (["--predicts", "x0"], "describe the function that --model names"),
        (["--out", "s.txt"], "samples are written to a .npz file"),
        (["--out", "absent/s.npz"], "the output must be a file in a folder that exists"),
        (["--out", "a_folder.npz"], "the output must be a file in a folder that exists"),
    ],
)
def test_a_bad_option_of_sample_is_refused_with_its_rule(folder, options, message):
    stderr = _refused(folder, [*SAMPLE, *options])
    assert message in stderr
    assert stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["good.toml", "--kappa", "0"], "kappa must be > 0"),
        (["good.toml", "--kappa", "nan"], "kappa must be a finite real number"),
        (["good.toml", "--tau", "0"], "tau must be an integer in 1..1000; received 0"),
        (["good.toml", "--tau", "1001"], "tau must be an integer in 1..1000; received 1001"),
        (["good.toml", "--steps", "1001"], "the number of steps must not exceed T = 1000"),
        (["good.toml", "--pairs", "0"], "pairs must be an integer >= 1"),
        (["good.toml", "--samples", "0"], "samples must be an integer >= 1"),
        (["good.toml", "--seed", "-1"], "seed must be an integer in 0.."),
        (["good.toml", "--budget", "3"], "--budget is of --certify"),
        (["good.toml", "--certify", "--budget", "0"], "--budget must be > 0"),
    ],
)
def test_a_bad_option_of_check_is_refused_with_its_rule(folder, arguments, message):
    stderr = _refused(folder, ["check", *arguments])
    assert message in stderr
    assert stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [*SAMPLE, "-n", "many"],
        [*SAMPLE, "--sampler", "euler"],
        [*SAMPLE, "--spacing", "odd"],
        ["check", "good.toml", "--tau", "1.5"],
        ["check"],
        ["draw"],
    ],
)
def test_what_is_no_option_or_no_number_is_a_usage_error(folder, arguments):
    assert "--help." in _refused(folder, arguments)


def test_the_library_does_not_import_the_command_lines_packages():
    code = "import sys, mixdyn, mixdyn.geometry; print({'typer', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
