"""The frame of the benchmarks: turns, ratios, fresh processes, pages; peers that do our work."""

import numpy as np
import pytest

import benchmarks
from benchmarks import floor, harness, page, peers, throughput
from benchmarks.__main__ import main
from mixdyn import DDIM, NoiseSchedule, kernels, presets, sample
from mixdyn.support.errors import FileError, InputError

MACHINE = {
    "processor": "P",
    "vectors": "avx2",
    "cores": 2,
    "memory_gb": 4.0,
    "allocator": "glibc 2.36 malloc",
    "allocator_settings": {},
}


def saved(rows):
    """A result of `throughput` as it comes back from its file."""
    return {
        "name": "throughput",
        "question": "How fast?",
        "answer": "Fast.",
        "rows": rows,
        "machine": MACHINE,
        "versions": {"numpy": "2.0"},
        "commit": "abc",
        "seconds": 60.0,
    }


def ddim_row(name, median, ratio):
    return {"task": "DDIM-50", "contender": name, "median": median, "ratio": ratio, "samples": 7}


def test_contenders_take_turns_after_a_first_call_each():
    calls = []
    times = harness.race({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert "".join(calls) == "ababab"
    assert len(times["a"].rounds) == 2


def test_a_ratio_is_taken_within_a_round_not_between_medians():
    quick, slow = harness.Times(0.0, (1.0, 5.0, 2.0)), harness.Times(0.0, (3.0, 10.0, 20.0))
    assert slow.over(quick) == 3.0  # of 3, 2, 10; the medians' ratio would be 5
    assert slow.row(2.0) == {"median": 20.0, "low": 6.0, "high": 40.0, "first_s": 0.0}


def test_a_fresh_process_sees_its_variables_and_returns_its_value():
    code = "import os; print(os.environ['MIXDYN_TEST'])"
    assert harness.run_python(code, {"MIXDYN_TEST": "seen"}).split() == ["seen"]
    assert harness.fresh("benchmarks.harness:show", value=1234567) == "1,234,567"


def test_a_failing_process_is_an_error_with_its_own_words():
    with pytest.raises(RuntimeError, match="no such luck"):
        harness.run_python("raise ValueError('no such luck')")


def test_a_commit_is_checked_out_as_long_as_it_is_needed():
    with harness.checkout("HEAD") as folder:
        assert (folder / "benchmarks" / "harness.py").is_file()
    assert not folder.exists()
    with pytest.raises(InputError, match="known to git"), harness.checkout("no-such-commit"):
        pass


def test_every_benchmark_asks_and_has_columns():
    assert len(benchmarks.names()) >= 7
    for name in benchmarks.names():
        benchmark = harness.load(name)
        assert benchmark.question.endswith("?")
        assert benchmark.columns


@pytest.mark.slow
@pytest.mark.parametrize("squares", [peers.matrix_squares, peers.difference_squares])
def test_numpy_does_the_work_of_the_engine(squares):
    check_same_work(lambda problem: peers.in_blocks(peers.numpy_rollout(problem, squares), 3))


def test_torch_does_the_work_of_the_engine():
    pytest.importorskip("torch")
    check_same_work(peers.torch_rollout)


def test_jax_does_the_work_of_the_engine():
    if not peers.installed("jax"):
        pytest.xfail("JAX is never a requirement")  # not a skip: those fail where all is required
    check_same_work(peers.jax_rollout)


def check_same_work(rollout):
    """End states equal those of the engine to rounding, over three steps."""
    mixture, schedule = presets.grid(side=3), NoiseSchedule.linear(T=20, beta_end=0.3)
    sampler = DDIM(steps=3)
    x = np.random.default_rng(0).standard_normal((7, 2))
    before = x.copy()
    found = rollout(peers.Problem(mixture, schedule, sampler))(x)
    expected = sample(mixture, schedule, sampler, x=x).x
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(x, before)


def test_the_operations_counted_are_those_of_the_networks_linear_layers():
    pytest.importorskip("torch")
    from benchmarks import learned

    built = learned.network(2, "cpu").network
    weights = [p for name, p in built.named_parameters() if p.ndim == 2 and "time" not in name]
    shape = built.architecture
    assert learned.flops(2, shape.hidden, shape.blocks) == 2 * sum(p.numel() for p in weights)


def test_the_job_on_the_card_takes_the_step_of_ddpm():
    torch = pytest.importorskip("torch")
    from benchmarks import learned
    from mixdyn import DDPM

    model = learned.network(1, "cpu")
    x = np.linspace(-2.0, 2.0, 5)[:, None]
    found = learned.ancestral(model, torch.from_numpy(x).float(), 1).numpy()
    expected = sample(model, model.schedule, DDPM(), x=x, start=1, rng=0).x
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def ours(general=0.25, grid=0.05):
    return [
        ddim_row(throughput.OURS, general, 1.0),
        ddim_row(throughput.PRODUCT, grid, grid / general),
    ]


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (20.0, "100 and 20 times as fast as NumPy, matrix form (goal 25, reached with it only)"),
        (4.0, "20 and 4 times as fast as NumPy, matrix form (goal 25, missed)"),
        (30.0, "150 and 30 times as fast as NumPy, matrix form (goal 25)"),
    ],
)
def test_a_missed_goal_is_said_in_the_answer(ratio, said):
    rows = [*ours(), ddim_row(throughput.MATRIX, 0.25 * ratio, ratio)]
    assert said in throughput.conclude({"rows": rows})


@pytest.mark.parametrize(("alone", "reach"), [(0.15, "out of reach"), (0.05, "within reach")])
def test_the_answer_says_whether_exponentials_alone_would_reach_the_goal(alone, reach):
    rows = [*ours(), ddim_row(throughput.PAPERS, 15.0, 60.0)]
    assert "One exponential" not in throughput.conclude({"rows": rows})
    rows.append(ddim_row(throughput.ALONE, alone, alone / 0.25))
    assert reach in throughput.conclude({"rows": rows})


def test_the_lead_over_jax_is_that_over_its_quicker_form():
    rows = [*ours(), ddim_row(throughput.JAX, 5.0, 20.0)]
    rows.append(ddim_row(throughput.JAX_BLOCKS, 0.5, 2.0))
    assert "10 and 2 times as fast as JAX" in throughput.conclude({"rows": rows})


def test_exponentials_alone_are_those_of_every_mode_and_step():
    x = -np.random.default_rng(0).uniform(0, 3, (kernels.TILE, 2))
    expected = sum(2.0 ** (x[:, 0] - s % 7 - k) for s in range(9) for k in range(10))
    np.testing.assert_allclose(floor.exponentials(x, 10, 9), expected, rtol=1e-13)


def test_pages_take_their_figures_from_the_results():
    result = saved([ddim_row(throughput.OURS, 0.25, 1.0), ddim_row(throughput.MATRIX, 9.125, 36.5)])
    assert "| DDIM-50 | NumPy, matrix form | 7 | 9.12 |" in page.page_text([result])
    assert page.page_text([result]).rstrip().endswith("**Fast.**")
    assert "| NumPy, matrix form | 9.12 | 36.5 |" in page.headline_text([result])


def test_what_stands_around_the_markers_stays():
    text = f"head\n{page.START}\nold\n{page.END}\ntail\n"
    written = page.insert(text, "new")
    assert written.startswith(f"head\n{page.START}")
    assert written.endswith(f"new\n\n{page.END}\ntail\n")
    assert page.insert(written, "new") == written
    with pytest.raises(FileError, match="line where results go"):
        page.insert("no markers", "new")


def test_both_pages_say_what_the_saved_results_say():
    results = page.saved_results()
    for path, written in (
        (page.PAGE, page.page_text(results)),
        (page.HEADLINE, page.headline_text(results)),
    ):
        assert page.insert(path.read_text(), written) == path.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "a benchmark is one of"),
        (["--small", "--page"], "full results"),
        (["memory", "startup", "--json", "one.json"], "one result"),
        (["startup", "--against", "HEAD"], "--against is of full runs of ledger"),
        (["ledger", "--small", "--against", "HEAD"], "--against is of full runs of ledger"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_two(arguments, said, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_benchmark_asked_for_writes_its_result(tmp_path, monkeypatch, capsys):
    quick = harness.Benchmark(
        question="Does it run?",
        measure=lambda small: {"rows": [{"what": "x", "s": 1.5 if small else 2.5}]},
        conclude=lambda result: f"It took {result['rows'][0]['s']} s.",
        columns={"what": "what", "s": "s"},
    )
    monkeypatch.setattr(harness, "load", lambda name: quick)
    assert main(["memory", "--small", "--json", str(tmp_path / "new" / "r.json")]) == 0
    assert "It took 1.5 s." in capsys.readouterr().out
    text = (tmp_path / "new" / "r.json").read_text()
    assert '"answer": "It took 1.5 s."' in text
    assert '"processor"' in text


def test_an_unknown_name_is_refused_by_the_library_too():
    from benchmarks.__main__ import check, parse

    with pytest.raises(InputError, match="a benchmark is one of"):
        check(parse(["nothing"]))


def test_a_peak_is_the_processs_own_not_that_of_a_larger_one_that_started_it():
    weight = np.ones(60_000_000)  # 480 MB in this process
    peak = harness.fresh("benchmarks.memory:peak_mb")
    assert weight.nbytes / 1e6 > 400.0 > peak
