"""python -m verify.checker FILE...: replay certificates, see the package."""

import sys

from . import main

sys.exit(main(sys.argv[1:]))
