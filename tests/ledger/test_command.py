"""`python -m verify` from the outside: exit status, files, and what is printed."""

import csv
import functools
import json
import re
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

import mixdyn
from mixdyn import presets
from mixdyn.problem.mixture import GaussianMixture
from mixdyn.support.numbers import Log10
from tests import toys
from verify import __main__ as command
from verify.ledger import cases, recorded, registry
from verify.ledger.case import Profile
from verify.ledger.relations import Upper, compare
from verify.ledger.verdict import Finding
from verify.report import document as report
from verify.report import screen as terminal

DOC = toys.doc("A toy of $k < 4$ & more.", Statement="$\\frac{1}{2} \\le 1$ for <all> modes.")


def entry(claim_id, value, fault=None):
    claim = toys.claim(claim_id, DOC)

    def check(case):
        if fault is not None:
            raise fault
        relation = Upper(rtol=1e-9, log=True)
        finding = Finding(
            [compare("share | of", relation, -2400.0 * value, -2300.0)],
            witness=lambda c: {"x": 1},
            note="a note with | and <b>",
            numbers={"radius": Log10(-1042.0)},
        )
        return claim.judge(case, finding)

    return toys.entry(claim, check)


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setattr(recorded, "RECORDED", tmp_path / "recorded")
    monkeypatch.setattr(recorded.find_drift, "__defaults__", (tmp_path / "recorded",))
    monkeypatch.setattr(recorded.record, "__defaults__", (tmp_path / "recorded",))

    def invoke(entries, *arguments, out="out"):
        named = functools.partial(registry.select, entries)
        monkeypatch.setattr(registry, "load_claims", lambda wanted=(): named(wanted))
        words = ["--jobs", "1", *map(str, arguments), "--out", str(tmp_path / out)]
        return CliRunner().invoke(command.app, words)

    return invoke


def test_the_four_exit_states(run, tmp_path):
    good, bad = [entry("G.9", 1.0)], [entry("G.9", 0.9)]
    assert run(good, "--random", 0).exit_code == 0  # nothing recorded yet
    assert run(good, "--random", 0, "--record").exit_code == 0
    drifted = run(bad, "--random", 0, "--fresh")
    assert (drifted.exit_code, "was holds, is fails" in drifted.output) == (1, True)
    assert run(bad, "--random", 0, "--fresh", "--record").exit_code == 0
    assert run(bad, "--random", 0, "--fresh").exit_code == 0  # a reproduced failure is a success
    broken = run([entry("G.9", 1.0, ZeroDivisionError("x"))], "--random", 0, "--fresh")
    assert (broken.exit_code, "ZeroDivisionError" in broken.output) == (2, True)
    stopped = run([entry("G.9", 1.0, KeyboardInterrupt())], "--random", 0, "--fresh")
    assert (stopped.exit_code, "interrupted" in stopped.output) == (130, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["NOPE"],
        ["--mixture", "absent.toml"],
        ["--schedule", "absent.npz"],
        ["--seed", "-1"],
        ["--random", "-1"],
        ["--jobs", "0"],
        ["--profile", "slow"],
        ["--mixture", "MIXTURE", "--random", "2"],
        ["--mixture", "BROKEN"],
        ["--json", "absent/x.json"],
        ["--json", "."],
    ],
)
def test_bad_input_is_one_message_and_status_2(run, tmp_path, arguments):
    presets.line().save(tmp_path / "m.toml")
    (tmp_path / "b.toml").write_text("means = [[1.0], [nan]]\nsigma = 0.1\n", encoding="utf-8")
    names = {"MIXTURE": tmp_path / "m.toml", "BROKEN": tmp_path / "b.toml"}
    found = run([entry("G.9", 1.0)], *(names.get(a, a) for a in arguments))
    assert found.exit_code == 2
    assert "Traceback" not in found.output
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_is_a_file_is_one_message_and_status_2(run, tmp_path):
    (tmp_path / "taken").write_text("", encoding="utf-8")
    found = run([entry("G.9", 1.0)], "--random", 0, out="taken")
    assert (found.exit_code, found.output.startswith("error:")) == (2, True)


def test_the_json_document_has_the_header_of_the_contract_and_is_strict(run, tmp_path):
    path = tmp_path / "x.json"
    run([entry("G.9", 1.0)], "--random", 1, "--json", path)
    text = path.read_text(encoding="utf-8")
    document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert set(document) == {"header", "rows"}
    assert {"versions", "machine", "mixture", "schedule", "commit"} <= set(document["header"])
    assert [row["case"] for row in document["rows"]] == ["standard", "random-1"]
    assert document["rows"][0]["measured"] == 0.0
    assert document["rows"][0]["log10_measured"] == pytest.approx(-2400.0 / 2.302585093, rel=1e-9)
    assert text == (tmp_path / "out" / "verify.json").read_text(encoding="utf-8")


class Page(HTMLParser):
    """Collects tags, ids, internal links and every address a browser would fetch."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.fetched = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.ids.append(given.get("id"))
        if tag == "a":
            self.links.append(given["href"])
        self.fetched += [
            v for k, v in attrs if k in ("src", "srcset") or (k, tag) == ("href", "link")
        ]


def test_the_page_is_offline_typeset_and_its_links_lead_somewhere(run, tmp_path):
    run([entry("G.9", 1.0), entry("P4.7 (1)", 0.9)], "--random", 1)
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.fetched == []
    assert "@import" not in text
    assert "url(" not in text
    assert "math" in page.tags
    assert "mfrac" in page.tags
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert "for &lt;all&gt; modes" in text
    assert "<b>" not in re.sub(r"<b>(standard|random-1)</b>", "", text)
    assert "1e-1042" in re.sub(r"\.0+e", "e", text)


def test_the_report_says_what_a_start_from_pure_noise_costs_on_each_case(run, tmp_path):
    mixture, schedule = tmp_path / "two.toml", tmp_path / "short.toml"
    GaussianMixture([[-1.0], [1.0]], 0.05, [0.9, 0.1]).save(mixture)
    schedule.write_text('kind = "linear"\nT = 100\n', encoding="utf-8")
    run([entry("G.9", 1.0)], "--mixture", mixture, "--schedule", schedule)
    run([entry("G.9", 1.0)], "--random", 0, out="standard")
    header = json.loads((tmp_path / "out" / "verify.json").read_text(encoding="utf-8"))["header"]
    start = header["schedule"]["user"]["start"]
    assert start["noisy_weights"][0][1] == pytest.approx(0.1958, abs=1e-4)
    assert start["flow_weights"][1] == pytest.approx(0.2577, abs=1e-4)
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "N(0, I) is not p_t at the start t = 100" in text
    assert "gets 0.1958 with noise" in text
    usual = (tmp_path / "standard" / "index.html").read_text(encoding="utf-8")
    assert "is not p_t at the start" not in usual


def test_markdown_csv_and_latex_say_the_same(run, tmp_path):
    run([entry("G.9", 1.0), entry("G.8", 0.9)], "--random", 0)
    folder = tmp_path / "out"
    rows = list(csv.DictReader((folder / "verify.csv").read_text(encoding="utf-8").splitlines()))
    assert [(r["id"], r["verdict"]) for r in rows] == [("G.9", "holds"), ("G.8", "fails")]
    assert rows[0]["measured"].endswith("e-1043")
    table = [
        line.split(" | ")
        for line in (folder / "verify.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| G.")
    ]
    assert [cells[2] for cells in table] == ["holds", "fails"]
    tex = (folder / "verify.tex").read_text(encoding="utf-8")
    assert tex.count(r"\\") == 3
    assert r"$\le$" in tex


def test_the_table_goes_to_the_terminal_with_reasons_for_what_does_not_hold(run):
    found = run([entry("G.9", 0.9)], "--random", 0)
    assert "G.9" in found.output
    assert "a note with | and <b>" in found.output
    assert "No recorded verdicts: standard." in found.output


def test_where_the_output_is_no_terminal_every_finished_claim_is_a_line(run):
    entries = [entry("G.9", 1.0), entry("G.8", 0.9)]
    lines = run(entries, "--random", 1).output.splitlines()[:4]
    patterns = [
        r"\[1/4\] G\.9 on standard: holds, .* s",
        r"\[2/4\] G\.8 on standard: fails, .* s",
        r"\[3/4\] G\.9 on random-1: holds, .* s",
        r"\[4/4\] G\.8 on random-1: fails, .* s",
    ]
    assert all(map(re.fullmatch, patterns, lines))
    kept = run(entries[:1], "--random", 0).output
    assert kept.startswith("[1/1] G.9 on standard: holds, kept\n")


def test_that_kernels_are_compiled_is_said_once(capsys):
    progress = terminal.Progress(terminal.make_console(), 2)
    for kernel in ("score", "step"):
        progress.compiling(kernel)
    assert capsys.readouterr().out == "compiling kernels, once\n"


def test_a_share_says_all_only_when_it_is_all():
    shown = [report.show_share(s) for s in (1.0, 0.99999, 0.5, 1e-5, 0.0, None)]
    assert shown == ["100 %", "99.999 %", "50 %", "0.001 %", "0 %", "–"]


def test_a_single_mode_and_uneven_sigmas_are_described(run, tmp_path):
    GaussianMixture([[0.0]], 0.1).save(tmp_path / "one.toml")
    GaussianMixture([[0.0], [1.0]], [0.1, 0.2]).save(tmp_path / "two.toml")
    for name, sigma in (("one", [0.1, 0.1]), ("two", [0.1, 0.2])):
        path = tmp_path / f"{name}.json"
        found = run([entry("G.9", 1.0)], "--mixture", tmp_path / f"{name}.toml", "--json", path)
        assert found.exit_code == 0
        header = json.loads(path.read_text(encoding="utf-8"))["header"]
        assert header["mixture"]["user"]["sigma"] == sigma


@pytest.mark.parametrize(
    ("path", "rho", "words"),
    [
        (
            "karras:T=9",
            mixdyn.NoiseSchedule.karras(9).rho,
            "on the variance-preserving path of the",
        ),
        ("flow_matching:T=9", mixdyn.NoiseSchedule.flow_matching(9).rho[:-1], "up to t = 8, the"),
        ("linear:T=9", mixdyn.NoiseSchedule.linear(9).rho, ""),
    ],
)
def test_the_ledger_follows_any_path_on_the_preserving_one_and_says_so(path, rho, words):
    case = cases.user("ring", path, 0, Profile.QUICK)
    assert case.schedule.variance_preserving
    assert case.schedule.rho == pytest.approx(rho, rel=1e-12)
    assert words in case.origin
    assert ("path" in case.origin) == bool(words)


def test_a_model_of_the_users_is_not_asked_for_states_of_another_path():
    with pytest.raises(mixdyn.InputError, match="states of a variance-preserving path"):
        cases.user("ring", "ve:T=9", 0, Profile.QUICK, "some:model")
