"""python -m tools.clients [--long] PROGRAM CONFIG [GROUP...]: real clients against a running `ropewalk serve`.

Starts a server on a port of its own for each group, asks it as users' programs do, and ends with 0 where every answer
is what the client promises its users. Offline; needs tools/clients/requirements.txt, --long requirements-long.txt too.
scripts/test-server.sh runs it.
"""

import argparse
import importlib
import time

from .server import Server

GROUPS = ("openai_python", "langchain", "replay", "promise", "proxies", "lm_eval_harness", "batch", "misbehaving")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("config")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="of " + ", ".join(GROUPS))
    parser.add_argument("--long", action="store_true", help="with the checks that take minutes")
    asked = parser.parse_args()
    for group in asked.groups or GROUPS:
        begun = time.monotonic()
        checks = importlib.import_module("." + group, __package__).CHECKS
        with Server(asked.program, asked.config, "serve.queue.requests=256") as server:
            checks.run(group, server, asked.long)
        print(f"== {group}: {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
