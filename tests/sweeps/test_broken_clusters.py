"""A scheduler that is killed and comes back, a network that is cut: nothing is made twice."""

import contextlib
import gc
import socket
import subprocess
import sys
import threading
import time

import pytest

from mixdyn.support.errors import InputError
from mixdyn.sweeps.executors import Here
from tests.sweeps import working
from tests.sweeps.test_cluster import N, executor, rows_of

distributed = pytest.importorskip("distributed", reason="needs mixdyn[cluster]")
pytestmark = pytest.mark.slow
GONE = "the scheduler is gone; waiting for it"
BACK = "the scheduler is back; what was under way begins again"


class Machines:
    """A scheduler at a port and a worker, each a process, started again together: a worker ends
    with its scheduler, and whoever keeps them up starts both."""

    def __init__(self):
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port = found.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.running = []

    def start(self):
        local = ["--host", "127.0.0.1", "--no-dashboard"]
        self._start("scheduler", *local, "--port", str(self.port), "--no-show")
        self._start("worker", self.address, *local, "--nthreads", "1", "--no-nanny")

    def _start(self, what, *words):
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *words]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.running.append(subprocess.Popen(command, **quiet))

    def kill(self):
        while self.running:
            process = self.running.pop(0)  # the scheduler first
            process.kill()
            process.wait()

    def wait(self):
        end = time.monotonic() + 120
        while True:
            try:
                with distributed.Client(self.address, timeout=5, set_as_default=False) as client:
                    client.wait_for_workers(1, timeout=60)
                return
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.1)


class Network:
    """A port that passes on what is sent to another, until it is cut; `mend` ends the cut."""

    def __init__(self, port):
        self.port, self.wires, self.whole = port, [], True
        self.door = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self.door.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near = self.door.accept()[0]
                if not self.whole:
                    near.close()
                    continue
                self.wires.append(near)
                far = socket.create_connection(("127.0.0.1", self.port))
                self.wires.append(far)
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
        self._end(one, other)

    def _end(self, *wires):
        for wire in wires:
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
            wire.close()

    def cut(self):
        self.whole = False
        self._end(*self.wires)

    def mend(self):
        self.whole = True

    def close(self):
        self.door.close()
        self.cut()


@pytest.fixture(autouse=True)
def no_wire_is_left_to_others():
    yield
    gc.collect()


@pytest.fixture
def machines():
    found = Machines()
    found.start()
    try:
        found.wait()
        yield found
    finally:
        found.kill()


@contextlib.contextmanager
def meanwhile(folder, happens):
    """Let it happen once two rows are there; whether it did is known at the end."""
    done = []

    def wait():
        end = time.monotonic() + 120
        rows = folder / "rows"
        while not rows.exists() or rows.read_bytes().count(b"\n") < 2:
            assert time.monotonic() < end
            time.sleep(0.02)
        happens()
        done.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert done


def begun(folder):
    return [int(line) for line in (folder / "begun").read_text().split()]


def test_a_scheduler_that_is_killed_and_started_again_goes_on(tmp_path, machines):
    (alone := tmp_path / "alone").mkdir()
    (there := tmp_path / "there").mkdir()
    said = []

    def restart():
        machines.kill()
        machines.start()

    with meanwhile(there, restart):
        rows = rows_of(there, executor(machines.address, said))
    assert rows == rows_of(alone, Here(), working.squares)
    assert (said.count(GONE), said.count(BACK)) == (1, 1)
    assert sorted(set(begun(there))) == list(range(N))
    assert len(begun(there)) <= N + 2, "no more is begun again than was under way"


def test_a_network_that_is_cut_and_mended_goes_on(tmp_path, machines):
    network, said = Network(machines.port), []

    def cut():
        network.cut()
        while GONE not in said:  # so long is it cut
            time.sleep(0.02)
        network.mend()

    with meanwhile(tmp_path, cut):
        rows = rows_of(tmp_path, executor(network.address, said))
    network.close()
    assert rows == [{"own": k, "square": k * k} for k in range(N)]
    assert (said.count(GONE), said.count(BACK)) == (1, 1)


def test_a_network_that_stays_cut_is_one_line_and_what_is_finished_stays(tmp_path, machines):
    network, said = Network(machines.port), []
    with meanwhile(tmp_path, network.cut), pytest.raises(InputError) as refused:
        rows_of(tmp_path, executor(network.address, said, patience=0.5))
    network.close()
    assert "Finished rows are kept: the same command goes on" in str(refused.value)
    assert "\n" not in str(refused.value)
    before = begun(tmp_path)
    rows = rows_of(tmp_path, executor(machines.address))
    assert rows == [{"own": k, "square": k * k} for k in range(N)]
    assert len(before) < len(begun(tmp_path)) <= N + 2
