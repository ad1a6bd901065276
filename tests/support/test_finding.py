"""A module is executed when something is taken from it, and not before."""

import sys

import pytest

from mixdyn.support.finding import lazily


def test_a_lazy_module_is_executed_at_its_first_use_and_is_the_only_one(tmp_path, monkeypatch):
    package = tmp_path / "slow_things"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text("import sys\nsys.executed_one = True\nvalue = 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "executed_one", False, raising=False)
    module = lazily("slow_things.one")
    assert not sys.executed_one
    assert module.value == 3
    assert sys.executed_one
    from slow_things import one

    assert one is module is lazily("slow_things.one")
    for name in ("slow_things.one", "slow_things"):
        sys.modules.pop(name)


def test_a_module_that_does_not_exist_is_said_at_once():
    with pytest.raises(ModuleNotFoundError, match=r"mixdyn\.nothing"):
        lazily("mixdyn.nothing")
