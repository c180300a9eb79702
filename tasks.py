"""The command table: Invoke's namespace and nothing else."""

import gc
import sys
from pathlib import Path

__path__ = [str(Path(__file__).with_suffix(""))]  # this file is the package of the folder tasks/
# Invoke turns the writing of bytecode off, and each call would compile our modules again.
sys.dont_write_bytecode = sys.flags.dont_write_bytecode == 1
gc.set_threshold(100_000)  # what is imported stays: looking through it again and again is in vain

from invoke import Collection  # noqa: E402

from tasks import (  # noqa: E402
    backup,
    catalogue,
    command,
    completion,
    database,
    dbcopy,
    demo,
    development,
    ensemble,
    environments,
    event,
    inventory,
    keywords,
    kits,
    lab,
    leaderboards,
    lists,
    manifest,
    people,
    problem,
    removal,
    rollout,
    servers,
    submissions,
    training,
    usage,
    web,
)

command.extend_invoke()
completion.extend_completion()
usage.extend_help()
namespace = Collection()
for module in (
    kits,
    environments,
    catalogue,
    manifest,
    event,
    keywords,
    lists,
    removal,
    people,
    submissions,
    training,
    leaderboards,
    ensemble,
    database,
    backup,
    dbcopy,
    web,
    rollout,
    problem,
    servers,
    inventory,
    lab,
    demo,
    development,
):
    for task in vars(module).values():
        if isinstance(task, command.Task):
            namespace.add_task(task)
