"""Where no folder can hold compiled kernels, everything runs all the same and says so once."""

import os
import subprocess
import sys

RUN = """
import numba.core.caching as caching

for kind in vars(caching).values():  # as on a machine where no folder is writable
    if isinstance(kind, type) and issubclass(kind, caching.CacheImpl):
        kind._locator_classes = []
from mixdyn.problem.noise import standard_normals

print(standard_normals(0, 2, 1, 1).shape)
"""


def test_kernels_run_uncached_with_one_warning():
    options = {key: value for key, value in os.environ.items() if key != "NUMBA_DISABLE_JIT"}
    done = subprocess.run(
        [sys.executable, "-c", RUN], capture_output=True, text=True, check=False, env=options
    )
    assert (done.returncode, done.stdout.strip()) == (0, "(2, 1)"), done.stderr
    assert done.stderr.count("no folder for compiled kernels is writable") == 1
