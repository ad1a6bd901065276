"""Usage that a command does not have, and commands of packages installed beside this one."""

import subprocess
import sys
import types
from importlib.metadata import EntryPoint

import pytest
import typer
from typer.testing import CliRunner

import derivations.__main__
import mixdyn.__main__
import verify.__main__
from mixdyn.cli import app, beside

WRONG = [
    (app, "sample --colour red", "No such option: --colour"),
    (app, "sample --seed x --out s.npz", "Invalid value for '--seed'"),
    (app, "sample -n", "requires an argument"),
    (app, "check", "Missing argument"),
    (app, "paint", "No such command 'paint'"),
    (app, "audit --steps many ddim", "Invalid value for '--steps'"),
    (verify.__main__.app, "--colour red", "No such option: --colour"),
    (verify.__main__.app, "--profile slow", "Invalid value for '--profile'"),
    (verify.__main__.app, "--seed 1.5", "Invalid value for '--seed'"),
]


@pytest.mark.parametrize(("command", "words", "message"), WRONG)
def test_wrong_usage_is_one_line_that_names_the_help(command, words, message):
    result = CliRunner().invoke(command, words.split())
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert line.endswith(" --help.")


def test_without_arguments_the_help_is_shown():
    result = CliRunner().invoke(app, [])
    assert "sample" in result.stdout
    assert "error" not in result.stderr


def test_an_interrupt_before_a_command_has_its_own_words():
    broken = typer.Typer()

    @broken.command(cls=verify.__main__.OneLineCommand)
    def stop():
        raise typer.Abort

    result = CliRunner().invoke(broken, [])
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")


# -- commands of other packages --------------------------------------------------------------------


@pytest.fixture
def offered(monkeypatch, tmp_path):
    """A package with two functions as entry points, importable, and an application with them."""
    (tmp_path / "painting").mkdir()
    (tmp_path / "painting" / "__init__.py").write_text("raise RuntimeError('too early')\n")
    (tmp_path / "painting" / "tools.py").write_text(
        'def paint(arguments):\n    """Paint it.\n\n    Slowly."""\n    return 7\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [
        EntryPoint("paint", "painting.tools:paint", beside.GROUP),
        EntryPoint("check", "painting.tools:paint", beside.GROUP),
        EntryPoint("prove", "derivations.__main__:main", beside.GROUP),
    ]
    monkeypatch.setattr(beside, "entry_points", lambda group: points)
    found = typer.Typer()
    found.command("check")(lambda: None)
    found.command("other")(lambda: None)
    beside.add_commands_beside(found)
    return found


def test_the_help_says_the_first_line_of_each_and_imports_none(offered):
    result = CliRunner().invoke(offered, ["--help"])
    assert result.exit_code == 0, result.output
    assert "Paint it." in result.stdout
    assert "Slowly" not in result.stdout


def test_arguments_are_handed_on_as_they_are_and_the_status_comes_back(offered, capsys):
    asked = CliRunner().invoke(offered, ["prove", "no_such", "--out", "x"])
    assert asked.exit_code == 2
    assert "no_such" in asked.stderr
    assert CliRunner().invoke(offered, ["prove", "--help"]).exit_code == 0


def test_a_command_of_ours_is_not_replaced(offered):
    assert CliRunner().invoke(offered, ["check"]).exit_code == 0


def test_the_ledger_gives_its_status_back(tmp_path):
    assert verify.__main__.run(["Z.9", "--out", str(tmp_path)]) == 2
    assert verify.__main__.run(["--help"]) == 0
    assert verify.__main__.draw(["Z.9", "--out", str(tmp_path)]) == 2
    assert derivations.__main__.main(["Z.9"]) == 2


def test_a_refusal_does_not_load_what_computes():
    """It answers at once: no kernel, no SciPy, no picture is imported for a wrong option."""
    heavy = ["numba", "scipy", "matplotlib", "torch", "sympy"]
    code = (
        "import sys\nfrom mixdyn.cli import app\n"
        "try:\n    app(['sample', '--colour', 'red'])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_an_interrupt_while_the_commands_are_imported_is_one_line(monkeypatch, capsys):
    class Slow(types.ModuleType):
        def __getattr__(self, name):
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "mixdyn.cli", Slow("mixdyn.cli"))
    with pytest.raises(SystemExit) as left:
        mixdyn.__main__.main()
    assert left.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"
