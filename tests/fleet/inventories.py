"""Texts of inventories."""

from __future__ import annotations

from collections.abc import Callable

from databoard.fleet.inventory import Target

Load = Callable[..., Target]
HOST = "hosts: {one: {address: 192.0.2.1, user: deploy, roles: [web]}}\n"
TWO = """user: deploy
database: {name: board, user: board, password: !env PASSWORD}
hosts:
  one: {address: 192.0.2.1, roles: [web]}
  two: {address: 192.0.2.2, roles: [database, worker]}
"""
