"""What a user brings: a torch module, tensor or output object serves as a model, and a checkpoint
brings its own mixture and schedule where none is named.
"""

import json

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from typer.testing import CliRunner

import mixdyn
from mixdyn import presets
from mixdyn.cli import app
from mixdyn.learned.files import read_tensors, write_tensors
from mixdyn.learned.loading import load_model, trained_on
from mixdyn.support.errors import FileError, InputError
from verify.ledger import cases
from verify.ledger.case import Profile

# -- a torch module, tensor or output object -------------------------------------------------------


MIXTURE, SCHEDULE = presets.two_modes(d=2), mixdyn.NoiseSchedule.linear(60, 1e-3, 0.3)
X = np.linspace(-2.0, 2.0, 12).reshape(6, 2)


class Output:
    """As diffusers' models return."""

    def __init__(self, sample):
        self.sample = sample


class Net(nn.Module):
    """eps = A x + b + c t, dropout in between."""

    def __init__(self, dtype=torch.float64, wrap=lambda value: value):
        super().__init__()
        torch.manual_seed(3)
        self.linear = nn.Linear(2, 2, dtype=dtype)
        self.dropout = nn.Dropout(0.5)
        self.wrap = wrap

    def forward(self, x, t):
        assert x.dtype == self.linear.weight.dtype
        assert t.shape == (len(x),)
        assert t.dtype == torch.int64
        return self.wrap(self.dropout(self.linear(x)) + 0.01 * t[:, None].to(x.dtype))


def _by_hand(net):
    weight = net.linear.weight.detach().double().numpy()
    bias = net.linear.bias.detach().double().numpy()
    return mixdyn.as_model(lambda x, t: x @ weight.T + bias + 0.01 * t)


def _end(model):
    return mixdyn.sample(model, SCHEDULE, mixdyn.DDIM(steps=10), x=X).x


@pytest.mark.parametrize(
    "wrap",
    [lambda value: value, Output, lambda value: (value,), lambda value: (Output(value),)],
    ids=["a tensor", "an output object", "a tuple", "a tuple of an object"],
)
def test_a_plain_module_is_a_model(wrap):
    net = Net(wrap=wrap)
    assert np.abs(_end(mixdyn.as_model(net)) - _end(_by_hand(net))).max() < 1e-11


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-4), (torch.bfloat16, 3.0)])
def test_a_module_is_given_its_own_precision(dtype, error):
    net = Net(dtype)
    gap = np.abs(mixdyn.as_model(net).eps(X, 3) - _by_hand(net).eps(X, 3)).max()
    assert 0.0 < gap < error * 0.01


def test_a_module_runs_without_dropout_and_is_left_in_its_mode():
    net = Net()
    net.linear.eval()
    model = mixdyn.as_model(net)
    assert np.array_equal(model.eps(X, 3), model.eps(X, 3))
    assert net.training
    assert net.dropout.training
    assert not net.linear.training


def test_the_index_base_and_the_kind_reach_a_module():
    net = Net()
    from_zero = mixdyn.as_model(net, predicts="x0", schedule=SCHEDULE, index_base=0)
    from_one = mixdyn.as_model(net, predicts="x0", schedule=SCHEDULE)
    shift = SCHEDULE.alpha[5] / np.sqrt(SCHEDULE.noise_var[5]) * 0.01
    assert from_zero.eps(X, 5) - from_one.eps(X, 5) == pytest.approx(shift, rel=1e-9)


def test_a_module_does_not_write_on_the_states():
    class Doubles(nn.Module):
        def forward(self, x, t):
            return x.mul_(2.0)

    x = X.copy()
    assert np.allclose(mixdyn.as_model(Doubles()).eps(x, 3), 2.0 * X)
    assert np.array_equal(x, X)


@pytest.mark.parametrize("wrap", [lambda value: value, Output])
def test_tensors_that_require_a_gradient_are_read(wrap):
    net = Net().eval()

    class Model:
        def eps(self, x, t):
            times = torch.full((len(x),), t)
            return wrap(net(torch.from_numpy(x), times))

    assert Model().eps(X, 1) is not None
    expected = _end(_by_hand(net))
    assert np.abs(_end(Model()) - expected).max() < 1e-11
    assert np.abs(_end(mixdyn.as_model(Model().eps)) - expected).max() < 1e-11


def test_a_tensor_is_data_like_any_array():
    means = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    assert mixdyn.GaussianMixture(means, 0.05) == MIXTURE
    assert len(mixdyn.classify(MIXTURE, means)) == 2


def test_a_module_is_named_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_net.py").write_text(
        "from torch import nn\n\n\n"
        "class Net(nn.Module):\n    def forward(self, x, t):\n        return 0.5 * x\n\n\n"
        "class Wrong(nn.Module):\n    def forward(self, x):\n        return x\n\n\n"
        "class Fails(nn.Module):\n    def forward(self, x, t):\n        return x @ x\n\n\n"
        "net, wrong, fails = Net(), Wrong(), Fails()\n"
    )
    model = load_model("own_net:net", MIXTURE, SCHEDULE)
    assert model.eps(X, 3) == pytest.approx(0.5 * X, rel=1e-6)
    assert model.own_threads
    with pytest.raises(InputError, match=r"names a function f\(x, t\)"):
        load_model("own_net:wrong", MIXTURE, SCHEDULE)
    with pytest.raises(InputError, match=r"RuntimeError: .*own_net.py, line 16"):
        load_model("own_net:fails", MIXTURE, SCHEDULE).eps(X, 3)


# -- a checkpoint's own mixture and schedule -------------------------------------------------------


def _run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_sample_takes_the_problem_of_the_checkpoint(checkpoint_file, problem, tmp_path):
    out = tmp_path / "s.npz"
    done = _run("sample", "--model", checkpoint_file, "-n", 9, "--steps", 5, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    mixture, schedule = problem
    with np.load(out) as held:
        assert held["mixture_digest"] == mixture.digest
        assert held["schedule_digest"] == schedule.digest
    assert json.loads(done.stdout)["mixture"]["source"] == str(checkpoint_file)


def test_another_problem_is_still_refused(checkpoint_file, tmp_path):
    for option in (["--mixture", "grid"], ["--schedule", "linear"]):
        done = _run("sample", "--model", checkpoint_file, "--out", tmp_path / "s.npz", *option)
        assert done.exit_code == 2
        assert "that it was trained on" in done.stderr


def test_without_a_checkpoint_a_mixture_must_be_named(tmp_path):
    done = _run("sample", "--out", tmp_path / "s.npz")
    assert done.exit_code == 2
    assert "a checkpoint brings its own" in done.stderr


def test_the_ledger_takes_the_problem_of_the_checkpoint(checkpoint_file, problem):
    case = cases.user(None, None, 0, Profile.QUICK, str(checkpoint_file))
    assert (case.mixture, case.schedule) == problem


def test_a_checkpoint_that_does_not_say_is_refused(checkpoint_file):
    tensors, about = read_tensors(checkpoint_file)
    for key in ("mixture", "schedule"):
        path = checkpoint_file.with_name(f"no_{key}.safetensors")
        write_tensors(path, tensors, {k: v for k, v in about.items() if k != key})
        with pytest.raises(FileError, match="must say what mixture and schedule"):
            trained_on(str(path))


def test_a_checkpoint_is_placed_on_a_device(checkpoint_file, tmp_path):
    arguments = ["sample", "--model", checkpoint_file, "-n", 9, "--steps", 5]
    arguments += ["--out", tmp_path / "s.npz"]
    assert _run(*arguments, "--device", "cpu").exit_code == 0
    refused = _run(*arguments, "--device", "tpu")
    assert refused.exit_code == 2
    assert "a device is 'cpu' or 'cuda'" in refused.stderr


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}], ids=["nothing", "other text"])
@pytest.mark.parametrize(
    "named",
    [["--mixture", "grid", "--schedule", "linear"], ["--mixture", "grid"], []],
    ids=["both named", "a mixture", "none"],
)
def test_tensors_of_a_foreign_network_are_described_by_their_shapes(tmp_path, named, metadata):
    parts = nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)
    layers = nn.Sequential(*parts)
    path = tmp_path / "foreign.safetensors"
    safetensors.torch.save_file(layers.state_dict(), path, metadata)
    refused = _run("sample", *named, "--model", path, "--out", tmp_path / "s.npz")
    assert refused.exit_code == 2
    assert refused.stderr.count("\n") == 1
    assert "by its shapes an MLP 3-64-64-2 of unknown activation" in refused.stderr
    assert "a torch module serves as it is" in refused.stderr
