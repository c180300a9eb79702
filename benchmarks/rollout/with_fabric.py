"""Fabric and rsync beside it: with_fabric.py KEY KNOWN_HOSTS SOURCE DESTINATION ADDRESS..."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from fabric import ThreadingGroup

key, known, source, destination, *addresses = sys.argv[1:]
ssh = f"ssh -F none -i {key} -o BatchMode=yes -o UserKnownHostsFile={known}"


def push(address: str) -> None:
    there = f"root@{address}:{destination}/"
    subprocess.run(["rsync", "-a", "-e", ssh, f"{source}/", there], check=True)


group = ThreadingGroup(*addresses, user="root", connect_kwargs={"key_filename": key})
with ThreadPoolExecutor(len(addresses)) as pool:
    list(pool.map(push, addresses))
group.run("true", hide=True)
