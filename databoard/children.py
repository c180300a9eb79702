"""Programs that this process runs, and that end when it does."""

from collections.abc import Sequence


def dying_with_us(command: Sequence[str]) -> list[str]:
    """The command, which the kernel kills when this process is killed: it writes on unwatched
    otherwise."""
    return ["setpriv", "--pdeathsig", "KILL", *command]
