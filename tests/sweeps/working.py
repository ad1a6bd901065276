"""Work for shards of tests: by name, so that other processes find it."""

import os
import signal
from pathlib import Path

from mixdyn.support.errors import InputError


def squares(common, owns):
    """Each time a shard is begun is written down."""
    folder, kill = common
    with (Path(folder) / "begun").open("a") as file:
        file.write(f"{owns[0]}\n")
    for own in owns:
        marker = Path(folder) / f"killed-{own}"
        if own in kill and (kill[own] == "always" or not marker.exists()):
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return [{"own": own, "square": own * own} for own in owns]


def refuses(common, owns):
    raise InputError("the work takes no such shard", owns[0], "Give another.")


def settings(common, owns):
    import numba

    from mixdyn.sweeps.executors import THREADS

    return [
        {
            "environment": {n: os.environ.get(n) for n in THREADS},
            "numba": numba.config.NUMBA_NUM_THREADS,
        }
    ]


def slow_squares(common, owns):
    """Long enough to be killed at."""
    import time

    with (Path(common[0]) / "pids").open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(0.2)
    return squares(common, owns)


def waits(folder, owns):
    """Say who it is, and never end."""
    import time

    draft = Path(folder) / "draft"
    draft.write_text(str(os.getpid()))
    draft.rename(Path(folder) / "pid")
    time.sleep(1e6)
