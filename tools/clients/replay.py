"""Bodies as other clients' programs send them, replayed: taken, with the chain that explain shows."""

import json
import pathlib

from .server import Checks

CHECKS = Checks()
BODIES = sorted((pathlib.Path(__file__).parent / "bodies").glob("*.json"))


@CHECKS.add
def bodies_are_taken(server):
    assert len(BODIES) >= 8
    for file in BODIES:
        recorded = json.loads(file.read_text())
        body = {**recorded["body"], "model": server.model, "stream": False}
        told = server.post("/ropewalk/v1/explain", body)
        chain = [link["sampler"] for link in told["chain"]]
        assert chain == recorded["chain"], (file.name, chain)
        assert sorted(told["ignored"]) == recorded["ignored"], (file.name, told["ignored"])
        answer = server.post(recorded["path"], body)
        assert answer["choices"], file.name
