#!/usr/bin/env python3
"""A room of core/ includes only rooms that its LINKS reach, and no chain of LINKS comes back to where it began.

    python3 tests/build/rooms.py SOURCE_DIR

All headers are found from the root of the tree, so the compiler would take any of them.
"""

import re
import sys
from pathlib import Path


def read_links(core):
    """Of each room, those that its rw_add_room() names."""
    links = {}
    for file in [core / "CMakeLists.txt", *core.glob("*/CMakeLists.txt")]:
        text = re.sub(r"#.*", "", file.read_text())
        for call in re.findall(r"rw_add_room\(([^)]*)\)", text):
            named = re.search(r"\bLINKS\b(.*?)(\bUSES\b|$)", call, re.S)
            links[call.split()[0]] = {word[3:] for word in (named[1] if named else "").split() if word.startswith("rw_")}
    return links


def reached(room, links):
    found, waiting = set(), list(links[room])
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += links[other]
    return found


def main():
    core = Path(sys.argv[1]) / "core"
    links = read_links(core)
    failures = [f"{room} is reached by its own LINKS" for room in links if room in reached(room, links)]
    for file in sorted(core.rglob("*.h")) + sorted(core.rglob("*.cpp")):
        if file.parent == core:
            continue  # precompiled.h
        room = file.relative_to(core).parts[0]
        allowed = reached(room, links) | {room}
        for other in re.findall(r'^#include "core/(\w+)/', file.read_text(), re.M):
            if other not in allowed:
                failures.append(f"{file.relative_to(core.parent)} includes {other}: name rw_{other} in its room's LINKS")
    for failure in failures:
        print("FAIL", failure)
    print(f"{len(links)} rooms")
    return 1 if failures or len(links) < 20 else 0


sys.exit(main())
