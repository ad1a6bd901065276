"""What a user hands over by mistake is answered with one line, before memory or time is spent."""

import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from typer.testing import CliRunner

import mixdyn
from mixdyn import presets
from mixdyn.cli import app
from mixdyn.run.observers import ClassCounts, SegmentDistance, WindowVariance
from mixdyn.solvers.integrators import integrate_ode
from mixdyn.support.errors import FileError, InputError, MemoryLimitError
from mixdyn.support.files import check_output, write_text

MIXTURE, SCHEDULE = presets.two_modes(), mixdyn.NoiseSchedule.linear()
TOO_LONG = "x" * 260
BEYOND_64_BITS = str(2**63), str(2**64), str(10**30)
POINTS = np.zeros((2, 1))


def _run(model, sampler=None, **options):
    return mixdyn.sample(model, SCHEDULE, sampler or mixdyn.DDIM(), **{"x": POINTS, **options})


# -- the command line ----------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.toml").write_text("means = [[0.0], [1.0]]\nsigma = 0.1\n")
    (tmp_path / "taken.json").mkdir()
    (tmp_path / "number.py").write_text(
        "class Model:\n    eps = 3.0\n\n"
        "class OneArgument:\n    def eps(self, x):\n        return x\n\n"
        "class Broken:\n    @property\n    def eps(self):\n        raise RuntimeError('no')\n\n"
        "class Anything:\n    def __getattr__(self, name):\n        raise KeyError(name)\n\n"
        "class Plane:\n    d = 2\n\n    def eps(self, x, t):\n        return x\n\n"
        "held, one, broken, anything = Model(), OneArgument(), Broken(), Anything()\n"
        "plane = Plane()\n\n"
        "def fails(x, t):\n    raise RuntimeError('first\\nsecond')\n"
    )
    return tmp_path


def _line(folder, arguments):
    before = sorted(path.name for path in folder.iterdir())
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert len(result.stderr) < 700
    left = sorted(p.name for p in folder.iterdir() if p.name != "__pycache__")
    assert left == before
    return result.stderr


SAMPLE = ["sample", "--mixture", "good.toml", "-n", "4", "--out", "s.npz"]
CHECK = ["check", "good.toml"]
HYBRID = [*SAMPLE, "--sampler", "hybrid"]


@pytest.mark.parametrize("value", BEYOND_64_BITS)
@pytest.mark.parametrize(
    "arguments",
    [
        [*SAMPLE, "-n"],
        [*SAMPLE, "--steps"],
        [*SAMPLE, "--start"],
        [*SAMPLE, "--model", "number:fails", "--index-base"],
        [*HYBRID, "--start"],
        [*SAMPLE, "--sampler", "exact", "--start"],
        [*CHECK, "--tau"],
        [*CHECK, "--steps"],
        [*CHECK, "--samples"],
    ],
    ids=lambda words: " ".join(words[-2:]),
)
def test_an_integer_beyond_64_bits_is_refused(folder, arguments, value):
    _line(folder, [*arguments, value])


@pytest.mark.parametrize("value", ["1e9", "1e155", "1e200", "1e308", "inf", "nan"])
@pytest.mark.parametrize("sampler", ["ddim", "hybrid"])
def test_an_eta_whose_square_overflows_is_refused(folder, sampler, value):
    assert "eta must" in _line(folder, [*SAMPLE, "--sampler", sampler, "--eta", value])


@pytest.mark.parametrize(
    "name", [TOO_LONG, f"{TOO_LONG}.npz", "a/" * 3000 + "s.npz", "good.toml/s.npz", "taken.npz"]
)
def test_a_name_at_which_nothing_can_be_written_is_refused(folder, name):
    _line(folder, [*SAMPLE[:-1], name])


def test_a_summary_that_cannot_be_written_leaves_no_samples(folder):
    stderr = _line(folder, [*SAMPLE[:-1], "taken.npz"])
    assert "taken.json" in stderr


def test_the_longest_name_that_the_system_allows_is_written(folder):
    longest = os.pathconf(folder, "PC_NAME_MAX")
    write_text(folder / ("x" * longest), "text")
    assert [p.name for p in folder.iterdir() if p.name.startswith("x")] == ["x" * longest]


@pytest.mark.parametrize("name", [TOO_LONG, f"{TOO_LONG}.toml", "a/" * 3000 + "b.npz"])
def test_a_name_that_no_file_can_have_is_refused(folder, name):
    for arguments in (["check", name], [*CHECK, "--schedule", name], [*SAMPLE, "--model", name]):
        _line(folder, arguments)


SIZES = [
    "line:n=10000000000",
    "line:d=10000000000",
    "line:n=100000,d=100000",
    "ring:n=10000000000",
    "grid:side=99999999",
    "two_modes:d=10000000000",
    "farthest_point:d=1000000000",
    "farthest_point:d=3,n=10000000000",
]


@pytest.mark.parametrize("preset", SIZES)
def test_a_preset_too_large_for_memory_is_refused_before_it_is_made(folder, preset):
    assert "must fit" in (line := _line(folder, ["check", preset])) or "holds at most" in line


@pytest.mark.parametrize(
    "preset", ["line:spacing=1e308", "grid:spacing=1e200", "line:start=1e308", "ring:radius=1e300"]
)
def test_a_preset_in_units_whose_squares_overflow_is_refused_in_one_line(folder, preset):
    assert "at most 1e+75" in _line(folder, ["check", preset])


def test_a_preset_takes_no_number_for_a_switch(folder):
    assert "normalize must be True or False" in _line(folder, ["check", "grid:normalize=3"])


@pytest.mark.parametrize("command", [SAMPLE, CHECK], ids=["sample", "check"])
def test_a_number_of_steps_beside_every_step_is_refused(folder, command):
    line = _line(folder, [*command, "--spacing", "full", "--steps", "7"])
    assert "--spacing full takes every time" in line


def test_the_samples_of_check_have_a_stated_limit(folder):
    stderr = _line(folder, [*CHECK, "--samples", str(2**31)])
    limit = int(stderr.rsplit("samples <= ", 1)[1].rstrip(".\n"))
    _line(folder, [*CHECK, "--samples", str(limit + 1)])
    assert 8 * limit * 51 <= 1 << 26 < 8 * (limit + 1) * 51


@pytest.mark.parametrize("model", ["number:held", "number:one", "number:Model"])
def test_an_eps_that_cannot_be_called_with_a_state_and_a_time_is_refused(folder, model):
    assert "a method eps(x, t)" in _line(folder, [*SAMPLE, "--model", model])


@pytest.mark.parametrize("model", ["number:broken", "number:anything"])
def test_an_attribute_that_raises_when_it_is_read_becomes_one_line(folder, model):
    line = _line(folder, [*SAMPLE, "--model", model])
    assert "whose attribute eps can be read" in line


def test_a_model_of_another_dimension_than_the_mixture_is_refused(folder):
    line = _line(folder, [*SAMPLE, "--model", "number:plane"])
    assert "the mixture's dimension, 1" in line


def test_whatever_a_model_raises_becomes_one_line_that_says_where(folder):
    stderr = _line(folder, [*SAMPLE, "--model", "number:fails"])
    assert "RuntimeError: first second (number.py, line 27)" in stderr


# -- files ---------------------------------------------------------------------------------------

GOOD_HEADER = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), }"
HEADERS = {
    "open bracket": "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1",
    "no literal": "__import__('os')",
    "an unknown key": GOOD_HEADER.replace("shape", "form"),
    "keys of two types": "{'descr': '<f8', 3: False, 'shape': (2, 1), }",
    "no tuple": GOOD_HEADER.replace("(2, 1)", "2"),
    "no type": GOOD_HEADER.replace("<f8", "<q99"),
    "an empty type": GOOD_HEADER.replace("'<f8'", "[]"),
    "a nested type": GOOD_HEADER.replace("'<f8'", "[('a',)]"),
    "a type that is a number": GOOD_HEADER.replace("'<f8'", "3"),
    "a type of types": GOOD_HEADER.replace("'<f8'", "('<f8', (10**9,))"),
    "objects": GOOD_HEADER.replace("<f8", "|O"),
    "a negative side": GOOD_HEADER.replace("(2, 1)", "(-2, -1)"),
    "more than is held": GOOD_HEADER.replace("(2, 1)", "(2000000000000, 1)"),
    "beyond 64 bits": GOOD_HEADER.replace("(2, 1)", f"({10**30}, 1)"),
    "less than is held": GOOD_HEADER.replace("(2, 1)", "(1, 1)"),
    "brackets without end": "(" * 9000,
    "a bad token": "{'descr': '<f8', 'fortran_order': False, 'shape': (0777, 1L), $",
    "a null": "{'descr': '\x00'}",
}


def _npz(path, member, header, version=(1, 0)):
    body = np.array([0.0, 1.0]).tobytes()
    text = header.encode("latin1") + b"\n"
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{member}.npy", b"\x93NUMPY" + bytes(version) + length + text + body)
        for name, value in (("means", [[0.0], [1.0]]), ("sigma", 0.1), ("weights", [1.0, 1.0])):
            if name != member:
                with archive.open(f"{name}.npy", "w") as stream:
                    np.lib.format.write_array(stream, np.array(value))


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0), (9, 9)])
@pytest.mark.parametrize("member", ["means", "sigma", "weights"])
@pytest.mark.parametrize("header", HEADERS.values(), ids=list(HEADERS))
def test_a_malformed_header_of_any_array_in_an_npz_is_a_file_error(
    tmp_path, member, header, version
):
    path = tmp_path / "bad.npz"
    _npz(path, member, header, version)
    with pytest.raises(FileError) as caught:
        mixdyn.GaussianMixture.load(path)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_a_sound_header_is_read(tmp_path, version):
    path = tmp_path / "good.npz"
    _npz(path, "means", GOOD_HEADER, version)
    held = mixdyn.GaussianMixture.load(path)
    assert held == mixdyn.GaussianMixture([[0.0], [1.0]], 0.1)


def test_an_npz_that_unpacks_beyond_the_limit_is_refused_unread(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("means.npy", bytes(1000))
    content = bytearray(path.read_bytes())
    size = struct.pack("<I", 1000)
    for where in (content.find(size), content.rfind(size)):  # local and central directory
        content[where : where + 4] = struct.pack("<I", 2**31)
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"at most 1e\+09 bytes"):
        mixdyn.GaussianMixture.load(path)


def test_a_pipe_is_no_parameter_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(FileError, match="a pipe"):
        mixdyn.GaussianMixture.load(tmp_path / "pipe.toml")


@pytest.mark.parametrize("path", [0, None, b"a.toml", 1.5, ["a.toml"]])
def test_what_names_no_file_is_refused_by_every_reader_and_writer(path):
    for call in (
        mixdyn.GaussianMixture.load,
        mixdyn.NoiseSchedule.load,
        MIXTURE.save,
        SCHEDULE.save,
        check_output,
    ):
        with pytest.raises(InputError, match=r"a file is named by a string or a pathlib\.Path"):
            call(path)


# -- the library ---------------------------------------------------------------------------------

NO_MIXTURE = [], None, 3, POINTS, presets.grid, {"means": [[0.0]], "sigma": 1.0}


@pytest.mark.parametrize("value", NO_MIXTURE, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    "call",
    [
        lambda m: mixdyn.classify(m, POINTS),
        lambda m: mixdyn.ExactScore(m, SCHEDULE),
        lambda m: mixdyn.geometry.within_modes(m, POINTS),
        lambda m: mixdyn.geometry.mode_radius(m),
        lambda m: mixdyn.geometry.pair(m, 0, 1),
        lambda m: mixdyn.geometry.nearest_pairs(m),
        ClassCounts,
        lambda m: SegmentDistance(m, SCHEDULE),
        lambda m: mixdyn.dynamics.mean_field(m, POINTS, 1.0),
        lambda m: mixdyn.dynamics.equilibrium(m, 1.0, [0.0]),
        lambda m: mixdyn.crossings.dominance_margin(m, POINTS, 1.0),
        lambda m: mixdyn.crossings.tau_2(m, SCHEDULE, 7.0),
        lambda m: mixdyn.fields.v_grid(SCHEDULE, mixdyn.TimeGrid.full(3), m),
        lambda m: mixdyn.oracles.flow_map(m, POINTS, 2.0, 1.0),
        lambda m: mixdyn.oracles.reverse_law(m, POINTS, 0.5),
        lambda m: mixdyn.oracles.affine_hull(m),
        lambda m: mixdyn.oracles.trap_radius(m, (0, 1), 0.3, 2.0, 1.0),
        lambda m: mixdyn.bounds.mixture_growth_exponent(m, 2.0, 1.0),
        lambda m: mixdyn.bounds.orthogonal_remainder(m, 0, 1, 7.0),
        lambda m: _run(m),
        lambda m: integrate_ode(m, POINTS, [2.0, 1.0]),
    ],
)
def test_what_is_no_mixture_is_named_wherever_one_is_expected(call, value):
    with pytest.raises(InputError, match=r"mixture must be a GaussianMixture|a GaussianMixture or"):
        call(value)


class Fitted:
    """Looks like a fitted mixture of another library."""

    means_ = np.zeros((2, 1))


@pytest.mark.parametrize("value", [None, 3, [0.1, 0.2], MIXTURE, Fitted()])
@pytest.mark.parametrize(
    "call",
    [
        lambda s: mixdyn.TimeGrid.log_snr(s, 3),
        lambda s: mixdyn.ExactScore(MIXTURE, s),
        lambda s: mixdyn.PerturbedScore(MIXTURE, s, lambda x, t: x),
        lambda s: SegmentDistance(MIXTURE, s),
        WindowVariance,
        lambda s: mixdyn.DDIM().grid(s),
        lambda s: mixdyn.noise.path_weights(s, 3, 1),
        lambda s: mixdyn.score.level(s, 1),
        lambda s: mixdyn.sample(MIXTURE, s, mixdyn.DDIM(), n=1),
    ],
)
def test_what_is_no_schedule_is_named_wherever_one_is_expected(call, value):
    with pytest.raises(InputError, match=r"must be a NoiseSchedule|takes a model, a NoiseSchedule"):
        call(value)


@pytest.mark.parametrize("observers", [3, None, "a", MIXTURE])
def test_observers_that_are_no_list_are_refused(observers):
    with pytest.raises(InputError, match="observers must be a list of observers"):
        _run(MIXTURE, observers=observers)


@pytest.mark.parametrize("observer", [3, None, "a", ClassCounts, MIXTURE])
def test_what_cannot_observe_is_refused(observer):
    with pytest.raises(InputError, match="an observer is an object with init, step, merge"):
        _run(MIXTURE, observers=[observer])


@pytest.mark.parametrize("progress", ["a", 3, True])
def test_progress_that_cannot_be_called_is_refused_before_the_run(progress):
    with pytest.raises(InputError, match="progress must be callable"):
        _run(MIXTURE, progress=progress)


@pytest.mark.parametrize("sampler", [mixdyn.DDIM, None, "ddim", MIXTURE])
def test_what_is_no_sampler_is_refused(sampler):
    with pytest.raises(InputError, match="a NoiseSchedule and a sampler, in this order"):
        mixdyn.sample(MIXTURE, SCHEDULE, sampler, n=1)


def test_ddpm_with_steps_names_the_sampler_that_has_them():
    with pytest.raises(InputError, match=r"DDIM\(steps=50, eta=1\)"):
        mixdyn.DDPM(steps=50)


@pytest.mark.parametrize(
    "sampler",
    [
        mixdyn.DDIM,
        mixdyn.DDPM,
        mixdyn.Hybrid,
        mixdyn.ExactReverse,
        mixdyn.AdaptiveNoise,
        mixdyn.ProbabilityFlow,
    ],
)
def test_an_option_that_a_sampler_does_not_have_is_answered_with_those_it_has(sampler):
    with pytest.raises(InputError, match=f"{sampler.__name__} takes the options .*; received nois"):
        sampler(noise=3)
    with pytest.raises(InputError, match="takes the options"):
        sampler(*range(1, 12))
    assert pickle.loads(pickle.dumps(sampler())) == sampler()


def test_the_base_of_a_hybrid_is_a_sampler_of_the_family():
    with pytest.raises(InputError, match="base must be a DDIM or DDPM"):
        mixdyn.Hybrid(base=3)


MASKED = np.ma.masked_array([[0.0], [1.0]], mask=[[False], [True]])


@pytest.mark.parametrize(
    "call",
    [
        lambda: mixdyn.GaussianMixture(MASKED, 0.1),
        lambda: mixdyn.GaussianMixture(list(MASKED), 0.1),
        lambda: mixdyn.GaussianMixture([[0.0], [1.0]], MASKED[:, 0]),
        lambda: mixdyn.GaussianMixture([[0.0], [1.0]], 0.1, MASKED[:, 0]),
        lambda: mixdyn.classify(MIXTURE, MASKED),
        lambda: MIXTURE.score(MASKED),
        lambda: mixdyn.NoiseSchedule.from_betas(np.ma.masked_array([0.1, 0.2], mask=[0, 1])),
        lambda: _run(MIXTURE, x=MASKED),
    ],
)
def test_masked_entries_never_count_as_data(call):
    with pytest.raises(InputError, match="must have no masked entries"):
        call()


def test_a_masked_array_without_masked_entries_is_an_array():
    whole = np.ma.masked_array([[0.0], [1.0]], mask=False)
    assert mixdyn.GaussianMixture(whole, 0.1) == mixdyn.GaussianMixture([[0.0], [1.0]], 0.1)


def test_draws_take_every_kind_of_seed():
    words = np.random.SeedSequence(3)
    drawn = MIXTURE.sample(5, np.random.SeedSequence(3))
    assert np.array_equal(drawn, MIXTURE.sample(5, words))
    assert np.array_equal(drawn, MIXTURE.sample(5, np.random.default_rng(words)))
    assert np.array_equal(drawn, MIXTURE.sample(5, np.random.default_rng(3)))
    for rng in ("a", 1.5, [3], True, -1, 2**64):
        with pytest.raises(InputError, match="rng must be an int"):
            MIXTURE.sample(5, rng)


def test_draws_beyond_the_stated_memory_are_refused():
    with pytest.raises(MemoryLimitError, match=r"the draws must fit 8e\+09 bytes; received 8e\+12"):
        MIXTURE.sample(10**12)
    with pytest.raises(MemoryLimitError):
        MIXTURE.sample(101, memory_limit=800)
    assert len(MIXTURE.sample(100, memory_limit=800)) == 100


@pytest.mark.parametrize("size", [10**30, 2**64, 2**63])
def test_an_integer_of_any_length_is_a_real_number(size):
    means = [[0.0], [1.0]]
    assert mixdyn.GaussianMixture(means, size).sigma == float(size)
    assert mixdyn.GaussianMixture(means, [size, 1]).sigmas.tolist() == [float(size), 1.0]
    assert mixdyn.GaussianMixture([[0], [size]], 1).means[1, 0] == float(size)


@pytest.mark.parametrize("size", [10**76, 10**400, 10**5000], ids=["76", "400", "5000"])
def test_an_integer_beyond_the_largest_length_is_refused_for_what_it_is(size):
    with pytest.raises(InputError, match="at most"):
        mixdyn.GaussianMixture([[0.0], [1.0]], size)


@pytest.mark.parametrize("shape", [(2, 1, 1), (2, 1), (1, 1), (1, 2), (1, 1, 1)])
def test_variances_of_one_dimension_are_answered_with_their_square_root(shape):
    with pytest.raises(InputError, match=r"np\.sqrt\(a\)\.ravel\(\)"):
        mixdyn.GaussianMixture([[0.0], [1.0]], np.ones(shape))


# -- what a model returns ------------------------------------------------------------------------


class Output:
    """As many libraries return: an object that holds the prediction."""

    def __init__(self, sample):
        self.sample = sample


RETURNED = {
    "float32": lambda x: x.astype(np.float32),
    "a list": lambda x: x.tolist(),
    "integers": lambda x: np.zeros(x.shape, np.int32),
    "an output object": Output,
    "a tuple of one": lambda x: (x,),
    "a tuple of an output object": lambda x: (Output(x),),
    "column major": np.asfortranarray,
}


class Model:
    """Predicts what `returned` makes of the state."""

    d = 1

    def __init__(self, returned):
        self.returned = returned

    def eps(self, x, t):
        return self.returned(x)


@pytest.mark.parametrize("returned", RETURNED.values(), ids=list(RETURNED))
def test_every_way_to_return_real_numbers_is_read(returned):
    expected = np.asarray(RETURNED["integers"](POINTS) if returned is RETURNED["integers"] else 0.0)
    x = np.array([[0.5], [-0.25]])  # exact in float32
    plain = _run(Model(lambda x: 0.0 * x + expected), x=x).x
    adapted = mixdyn.as_model(lambda x, t: returned(0.0 * x))
    assert np.array_equal(_run(adapted, x=x).x, plain)
    assert np.array_equal(_run(Model(lambda x: returned(0.0 * x)), x=x).x, plain)


REFUSED = {
    "None": lambda x: None,
    "text": lambda x: "a",
    "complex": lambda x: x + 1j,
    "a dict": lambda x: {"sample": x},
    "ragged": lambda x: [[1.0], [1.0, 2.0]],
    "objects": lambda x: x.astype(object),
    "an output object of text": lambda x: Output("a"),
    "booleans": lambda x: x > 0,
}


@pytest.mark.parametrize("returned", REFUSED.values(), ids=list(REFUSED))
def test_what_a_model_returns_otherwise_is_refused(returned):
    for model in (Model(returned), mixdyn.as_model(lambda x, t: returned(x))):
        with pytest.raises(InputError, match=r"must be an array of real numbers|non-finite"):
            _run(model)


def test_a_model_that_returns_masked_entries_is_refused():
    def returned(x):
        return np.ma.masked_array(x, mask=np.ones(x.shape, bool))

    for model in (Model(returned), mixdyn.as_model(lambda x, t: returned(x))):
        with pytest.raises(InputError, match="must have no masked entries"):
            _run(model)


@pytest.mark.parametrize(("returned", "kind"), [("complex", "complex128"), ("booleans", "bool")])
def test_an_array_of_other_numbers_is_refused_by_their_kind(returned, kind):
    with pytest.raises(InputError, match=f"of type ndarray of {kind}"):
        _run(Model(REFUSED[returned]))


def test_a_fitted_mixture_of_another_library_is_answered_with_the_way_in():
    class Fitted:
        covariances_ = np.ones(2)

    with pytest.raises(InputError, match=r"GaussianMixture\.from_sklearn"):
        mixdyn.ExactScore(Fitted(), SCHEDULE)


@pytest.mark.parametrize("model", [Model, 3, lambda x, t: x, type("M", (), {"eps": 3.0})()])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(InputError, match=r"a GaussianMixture or an object with eps\(x, t\)"):
        _run(model)


@pytest.mark.slow
def test_a_mixture_of_very_many_modes_needs_no_table_of_every_time():
    many = presets.line(n=30_000_000 // 2, spacing=1e-6)
    stepper = mixdyn.DDIM().stepper(
        mixdyn.ExactScore(many, SCHEDULE, detect_product=False, detect_hull=False),
        SCHEDULE,
        mixdyn.DDIM().grid(SCHEDULE),
    )
    assert stepper.rollout is None
