"""The cron jobs of a target: backups, their verification, and monitoring."""

from __future__ import annotations

from databoard.fleet import shell
from databoard.fleet.chores import on_each
from databoard.fleet.inventory import Host, Target
from databoard.fleet.plan import diff_of
from databoard.fleet.render import CRON, File, rendered
from databoard.fleet.runbook import Action, Run, Step

READ = """
[ ! -e "$path" ] || cat "$path"
"""

INSTALL = """
# cron takes no notice of a name with a dot in it
cat >"${path%/*}/.${path##*/}.new"
chmod 644 "${path%/*}/.${path##*/}.new"
mv -f "${path%/*}/.${path##*/}.new" "$path"
"""


def steps(target: Target) -> list[Step]:
    """Install the jobs. Raises InvalidValue when the template cannot be rendered."""
    files = {host: _file(target, host) for host in target.hosts}

    def install(host: Host) -> Action:
        return Run(_at(files[host]) + INSTALL, files[host].content.encode())

    return [Step("cron", "Install the cron jobs", install)]


def diffs(target: Target) -> tuple[dict[Host, str], dict[Host, str]]:
    """What would change on each host, and why some cannot be looked at."""
    files = {host: _file(target, host) for host in target.hosts}
    found, failures = on_each(target, lambda machine: machine.run(_at(files[machine.host]) + READ))
    return {
        host: diff_of(str(files[host].destination), text or None, files[host].content)
        for host, text in found.items()
    }, failures


def _file(target: Target, host: Host) -> File:
    return next(file for file in rendered(target, host) if file.name == CRON)


def _at(file: File) -> str:
    return shell.assign({"path": file.destination})
