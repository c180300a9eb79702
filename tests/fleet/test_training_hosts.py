"""A submission is trained on a real host: by the service, in a box, as a user without rights."""

from __future__ import annotations

import json

import pytest

from tests.fleet.site import HOME, Site
from tests.training.deployment import until

pytestmark = pytest.mark.slow
INV = f"{HOME}/bin/inv"


def test_the_service_trains_in_a_box(site: Site) -> None:
    host = site.hosts[0]
    for line in (
        *("create-user ada ada@uni.example", "approve-user ada", "add-problem iris"),
        *("add-event iris boxed Iris", "sign-up-team boxed ada"),
        "submit-starting-kit boxed ada",
    ):
        host.run(f"{INV} {line}")

    def is_over() -> bool:
        waiting = host.run(f"{INV} leaderboard boxed --new --json").stdout
        return not json.loads(waiting)

    until(is_over, 120)
    said = host.run(f"{INV} print-submissions boxed --errors").stdout
    assert "scored" in said, said
    assert host.run("pgrep -c bwrap", check=False).stdout.strip() != "0"  # that of the kit waits
