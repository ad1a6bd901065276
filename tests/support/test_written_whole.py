"""Files are written whole or not at all, by the dead too; and a folder belongs to one run."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from mixdyn.support import files
from mixdyn.support.errors import FileError

WAYS = ["nameless", "by copy", "with a name"]


@pytest.fixture(params=WAYS)
def folder(request, tmp_path, monkeypatch):
    """On a system with all it takes, on one without links of open files, on one with neither."""
    if request.param == "by copy":

        def refused(*given, **named):
            raise OSError(18, "no such link")

        monkeypatch.setattr(os, "link", refused)
    if request.param == "with a name":
        monkeypatch.setattr(files, "_nameless", lambda folder: None)
    files.write_text(tmp_path / "held", "before")
    return tmp_path


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_is_there_alone_and_follows_the_umask(folder):
    files.write_atomically(folder / "b.npz", lambda handle: np.savez(handle, x=np.arange(3)))
    files.write_text(folder / "held", "after")
    assert np.load(folder / "b.npz")["x"].tolist() == [0, 1, 2]
    assert (folder / "held").read_text() == "after"
    assert listed(folder) == ["b.npz", "held"]
    (folder / "plain").write_text("")
    assert (folder / "held").stat().st_mode == (folder / "plain").stat().st_mode


def test_an_interrupt_leaves_what_was_there(folder):
    def interrupted(handle):
        handle.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_atomically(folder / "held", interrupted)
    assert (folder / "held").read_text() == "before"
    assert listed(folder) == ["held"]


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="no nameless files here")
def test_a_process_killed_in_the_middle_leaves_nothing(tmp_path):
    def killed(handle):
        handle.write(b"x" * 1_000_000)
        os.kill(os.getpid(), signal.SIGKILL)

    files.write_text(tmp_path / "held", "before")
    pid = os.fork()
    if pid == 0:
        files.write_atomically(tmp_path / "held", killed)
    os.waitpid(pid, 0)
    assert (tmp_path / "held").read_text() == "before"
    assert listed(tmp_path) == ["held"]


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="no nameless files here")
def test_a_new_file_has_its_name_at_once_with_no_draft_to_be_killed_at(tmp_path, monkeypatch):
    def killed(*given):
        raise AssertionError("between two names")

    monkeypatch.setattr(Path, "replace", killed)
    files.write_text(tmp_path / "new", "whole")
    assert listed(tmp_path) == ["new"]
    assert (tmp_path / "new").read_text() == "whole"


def test_a_folder_belongs_to_one_run_and_to_the_next(tmp_path):
    with files.one_run_in(tmp_path):
        with pytest.raises(FileError, match="another is under way"), files.one_run_in(tmp_path):
            pass
        assert listed(tmp_path) == []
    with files.one_run_in(tmp_path):
        pass
