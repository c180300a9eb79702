"""Commands for people who work on rollouts: real hosts on this machine."""

from tasks.command import command

TAG, NETWORK = "lab", "10.77"  # those of the tests have others
FIRST_LINE = "# Written by inv lab-up.\n"


@command(help={"count": "How many hosts."})
def lab_up(ctx, count="3"):
    """Start hosts on this machine to roll out to."""
    from databoard.names import as_count
    from tests.lab.hosts import Lab
    from tests.lab.keys import write_secret
    from tests.lab.machine import MOST

    number = as_count("--count", count, most=MOST)
    folder, inventory = places()
    lab = Lab.up(number, folder=folder, network=NETWORK, tag=TAG, lasting=True)
    write_secret(inventory, (FIRST_LINE + lab.inventory()).rstrip())
    for host in lab.hosts:
        print(f"{host.name:<8} {host.address:<15} {' '.join(lab.ssh(host))}")
    print("They stay until inv lab-down. Make them ready: inv set-up-host --target=lab")


@command()
def lab_down(ctx):
    """Stop the hosts of lab-up."""
    import shutil

    from tests.lab.hosts import clear
    from tests.lab.machine import check_machine

    check_machine()
    folder, inventory = places()
    there = clear(TAG)
    shutil.rmtree(folder, ignore_errors=True)
    if inventory.exists() and inventory.read_text().startswith(FIRST_LINE):
        inventory.unlink()
    print("The hosts are gone." if there else "There was no host.")


def places():
    """The folder of the lab, and its inventory."""
    from databoard.config import ROOT

    return ROOT / ".lab", ROOT / "inventories" / f"{TAG}.yml"
