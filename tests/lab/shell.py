"""Commands of the machine itself, with what they say when they fail."""

from __future__ import annotations

import subprocess

# Not the caller's: a host has nothing of the machine's settings.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}
# sh -c JOIN CGROUP COMMAND...: the command and its children are listed there.
JOIN = 'echo $$ >"$0/cgroup.procs" && exec "$@"'


def run(*command: object, text: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command with `text` as its input. Raises RuntimeError with all it said."""
    words = [str(word) for word in command]
    result = subprocess.run(words, input=text, capture_output=True, text=True, env=ENVIRONMENT)
    if check and result.returncode:
        said = f"{result.stdout}{result.stderr}".strip()
        raise RuntimeError(f"{' '.join(words)}: exit code {result.returncode}\n{text}{said}")
    return result
