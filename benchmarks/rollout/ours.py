"""Ours: ours.py SOURCE DESTINATION pushes to the hosts of DATABOARD_TARGET, and runs `true`."""

import sys
from pathlib import Path

from databoard.fleet import inventory
from databoard.fleet.connect import Unreachable, opened, side_by_side
from databoard.fleet.inventory import Host

target = inventory.load(inventory.chosen(None))
with opened(target) as machines:

    def on(host: Host) -> int:
        machine = machines[host]
        assert not isinstance(machine, Unreachable), machine
        pushed = machine.push(Path(sys.argv[1]), sys.argv[2])
        return pushed.code or machine.run("true").code

    sys.exit(any(side_by_side(on, target.hosts)))
