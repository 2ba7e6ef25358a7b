"""Clients that misbehave, of tools/serving/chaos.py: 360 of them, or all."""

import types

from ..serving import chaos
from .server import Checks

CHECKS = Checks()


@CHECKS.add
def five_percent(server):
    chaos.run(types.SimpleNamespace(program=server.program, percent=5))


@CHECKS.long
def all_of_them(server):
    chaos.run(types.SimpleNamespace(program=server.program, percent=100))
