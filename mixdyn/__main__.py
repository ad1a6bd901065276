"""`python -m mixdyn` is the command `mixdyn`."""

import sys

from .support.errors import MixdynError, one_line


def main() -> None:
    """The console script. The commands are built from the samplers of the folder when they are
    imported: what is wrong with one of these is a line and exit code 2 too."""
    try:
        from .cli import main as run
    except MixdynError as error:
        sys.stderr.write(f"{one_line(error)}\n")
        sys.exit(2)
    except KeyboardInterrupt:  # as in a command that runs
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
