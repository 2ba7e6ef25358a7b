#!/usr/bin/env python3
"""Names that a unity build or the linker would mix up, although each source compiles by itself.

    python3 tests/build/names.py SOURCE_DIR BUILD_DIR

The presets but `debug` compile sixteen sources of a target as one, and each new file moves the borders between them. So:

* A name in an anonymous namespace, a static one or a macro is of one source of its target alone. Functions may share it
  where their parameters differ.
* It is not also a type or a constant of a header that another source of the target includes.
* A type of the program outside of anonymous namespaces is defined in one file: two would break the one-definition rule.

ctags (universal) finds the names, compile_commands.json of a unity build says which sources make a target.
"""

import json
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROGRAM = ("core/", "apps/", "backends/", "plugins/")
TYPES = ("class", "struct", "enum", "union")
MACROS_OF_TESTS = ("TEST", "INSTANTIATE", "RW_ON", "BENCHMARK")  # ctags takes what they make for functions


@dataclass(frozen=True)
class Name:
    text: str
    file: str
    line: str
    kind: str
    namespace: str  # without the anonymous ones
    parameters: str  # types of a function's
    local: bool  # of its file alone


def parameter_types(signature: str) -> str:
    types = [re.sub(r"\s*=.*", "", p).strip() for p in signature.strip("()").split(",")]
    return ",".join(re.sub(r"(?<=[\s&*>])\w+$", "", t).strip() for t in types)


def names_of(source: Path) -> list[Name]:
    files = [str(f.relative_to(source)) for folder in ("core", "apps", "backends", "plugins", "tests", "bench")
             for ending in ("*.cpp", "*.h") for f in sorted((source / folder).rglob(ending))]
    tags = subprocess.run(["ctags", "--languages=C++", "--language-force=C++", "--sort=no", "--fields=+neSzKsf", "-f", "-",
                           "-L", "-"], input="\n".join(files), capture_output=True, text=True, check=True, cwd=source).stdout
    found = []
    for tag in tags.splitlines():
        text, file, _, *fields = tag.split("\t")
        field = dict(f.split(":", 1) for f in fields if ":" in f)
        kind, namespace = field.get("kind", "namespace"), field.get("namespace", "")
        inner = any(scope in field for scope in (*TYPES, "function"))  # members and locals have a scope of their own
        if inner or kind == "namespace" or text.startswith((*MACROS_OF_TESTS, "__anon")):
            continue
        local = kind == "macro" or "file" in field or "__anon" in namespace
        found.append(Name(text, file, field.get("line", "?"), kind, re.sub(r"(::)?__anon\w+", "", namespace),
                          parameter_types(field.get("signature", "")), local))
    return found


def unity_targets(source: Path, build: Path) -> dict[str, set[str]]:
    targets, unity = defaultdict(set), set()
    for command in json.loads((build / "compile_commands.json").read_text()):
        target, file = re.search(r" -o \S*CMakeFiles/([^/]+)\.dir/", command["command"])[1], Path(command["file"])
        parts = [file]
        if file.name.startswith("unity_"):
            unity.add(target)
            parts = map(Path, re.findall(r'^#include "(.+)"$', file.read_text(), re.M))
        targets[target].update(str(p.relative_to(source)) for p in parts if p.is_relative_to(source))
    return {target: files for target, files in targets.items() if target in unity}


class Includes:
    """The files that a source includes, and those that they do."""

    def __init__(self, source: Path):
        self.source = source

    @cache
    def of(self, file: str) -> frozenset[str]:
        seen, todo = set(), [file]
        while todo:
            for header in self.direct(todo.pop()) - seen:
                seen.add(header)
                todo.append(header)
        return frozenset(seen)

    @cache
    def direct(self, file: str) -> frozenset[str]:
        path = self.source / file
        return frozenset(re.findall(r'^#include "(.+)"', path.read_text(), re.M)) if path.exists() else frozenset()


def places(names) -> str:
    return ", ".join(sorted(f"{n.file}:{n.line}" for n in names))


def differ(names: list[Name]) -> bool:
    """Whether they are overloads, or one alias written again."""
    if all(n.kind == "typedef" for n in names):
        return True
    by_parameters = defaultdict(set)
    for name in names:
        if name.kind != "function":
            return False
        by_parameters[name.parameters].add(name.file)
    return all(len(files) == 1 for files in by_parameters.values())


def is_within(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith(outer + "::") or not outer


def clashes_in(target: str, files: set[str], by_file: dict, of_headers: dict, includes: Includes):
    same = defaultdict(list)
    for file in files:
        for name in by_file[file]:
            same[name.text].append(name)
    for text, names in same.items():
        local = [n for n in names if n.local]
        if local and len({n.file for n in names}) > 1 and not differ(names):
            yield f"{text} is in several sources of {target}: {places(names)}"
        for name in local:
            for header in of_headers[text]:
                users = [f for f in files if f != name.file and header.file in includes.of(f)]
                if users and is_within(name.namespace, header.namespace):
                    yield f"{text} of {places([name])} hides that of {places([header])}, which {users[0]} includes"


def defined_twice(names: list[Name]):
    types = defaultdict(list)
    for name in names:
        if name.kind in TYPES and not name.local and name.file.startswith(PROGRAM):
            types[name.namespace, name.text].append(name)
    for (namespace, text), all_of_it in types.items():
        if len({n.file for n in all_of_it}) > 1:
            yield f"{namespace}::{text} is defined in several files: {places(all_of_it)}"


def main() -> int:
    source, build = (Path(a).resolve() for a in sys.argv[1:3])
    targets, names, includes = unity_targets(source, build), names_of(source), Includes(source)
    if len(targets) < 10 or len(names) < 1000:
        print(f"FAIL found only {len(targets)} targets and {len(names)} names")
        return 1
    by_file, of_headers = defaultdict(list), defaultdict(list)
    for name in names:
        by_file[name.file].append(name)
        if name.file.endswith(".h") and not name.local and name.kind != "function":
            of_headers[name.text].append(name)
    found = set(defined_twice(names))
    for target, files in targets.items():
        found.update(clashes_in(target, files, by_file, of_headers, includes))
    for clash in sorted(found):
        print("FAIL", clash)
    if not found:
        print(f"ok: {len(names)} names, {len(targets)} targets")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
