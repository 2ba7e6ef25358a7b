"""Writes docs/support.md: what each kind of device does, asked of the devices of this machine.

    python3 tests/ops/support.py build/release > docs/support.md
    python3 tests/ops/support.py build/release --check docs/support.md

An op's cell tells how many of its cases in tests/ops pass on the device, and why others are skipped. Nothing
in the page depends on the machine but which devices it has: --check compares the page's own columns, and of an op
that it has the cases it names. So a new case makes no page stale, a new op or another outcome does.
"""

import difflib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

# Names as in tests/ops/harness/devices.h; a variant that only checks another tuning is no column.
COLUMNS = {
    "cpu": "CPU",
    "cuda": "CUDA",
    "vulkan": "Vulkan",
    "vulkan_bare": "Vulkan without what may be missing",
}

HEAD = """# What runs where

Written by `python3 tests/ops/support.py build/release > docs/support.md`; do not edit. A test compares it with what
the devices say. A column is a kind of device; one that the machine of the last writing did not have is left out (a
machine with an NVIDIA GPU adds CUDA, whose cases otherwise run on the emulator of `tests/cuda`). Vulkan is any device
with Vulkan 1.2, here Mesa's lavapipe; `ropewalk devices` tells what yours lacks.
"""


def devices(build: Path, *settings: str) -> dict[str, dict]:
    arguments = [item for setting in settings for item in ("--set", setting)]
    result = subprocess.run(
        [build / "bin/ropewalk", "devices", "--json", *arguments],
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, dict] = {}
    for device in json.loads(result.stdout)["devices"]:
        found.setdefault(device["backend"], device)
    return found


def masked(build: Path, feature: str) -> dict:
    return devices(build, "backend.name=vulkan", f"backend.mask-features=[{feature}]")["vulkan"]


def device_rows(build: Path, columns: list[str]) -> list[str]:
    rows = ["| backend | activations | key-value cache |", "|---|---|---|"]
    for name, device in sorted(devices(build).items()):
        if device["usable"] and name in columns:
            rows.append(f"| {name} | {device['activation']} | {', '.join(device['kv_cache'])} |")
    return rows


def feature_rows(build: Path) -> list[str]:
    known = re.search(r"there are (.*)", masked(build, "none")["reason"]).group(1)
    rows = ["| feature | a device without it |", "|---|---|"]
    # What this device lacks by itself is nothing that a mask has brought about.
    present = masked(build, "")["missing"].split(", ")
    for feature in known.rstrip(".").split(", "):
        device = masked(build, feature)
        if device["usable"]:
            lacking = [lack for lack in device["missing"].split(", ") if lack not in present]
            lacking = lacking or [lack for lack in present if feature.split("-")[-1] in lack]
            rows.append(f"| {feature} | works without {', '.join(lacking)} |")
        else:
            rows.append(f"| {feature} | is refused: {device['reason']} |")
    return rows


def outcome(case: ElementTree.Element) -> str:
    """What is not well; empty: it passes."""
    if case.find("failure") is not None:
        return "FAILS"
    if (skipped := case.find("skipped")) is not None:
        return skipped.get("message").strip().splitlines()[-1].split(": ")[-1]
    return ""


def run_table(build: Path, columns: list[str]) -> dict[str, dict[str, dict[str, str]]]:
    """What is not well, by suite, case and device."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        subprocess.run(
            [
                build.resolve() / "tests/test_ops",
                "--gtest_filter=" + ":".join(f"Ops/*/{column}" for column in columns),
                f"--gtest_output=xml:{report}",
            ],
            stdout=subprocess.DEVNULL,
            check=False,
        )
        suites = ElementTree.parse(report).getroot()
    table: dict[str, dict[str, dict[str, str]]] = {}
    for suite in suites:
        cases = table.setdefault(suite.get("name").removeprefix("Ops/"), {})
        for case in suite:
            name, device = case.get("name").rsplit("/", 1)
            cases.setdefault(name, {})[device] = outcome(case)
    return table


def cell(cases: dict[str, dict[str, str]], device: str) -> str:
    reasons: dict[str, list[str]] = {}
    for name, outcomes in cases.items():
        if reason := outcomes.get(device, "there is no such case"):
            reasons.setdefault(reason, []).append(f"`{name}`")
    bad = sum(len(names) for names in reasons.values())
    if not bad:
        return f"all {len(cases)}"
    if len(reasons) == 1 and bad == len(cases):
        return f"none: {next(iter(reasons))}"
    exceptions = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())
    return f"{len(cases) - bad} of {len(cases)}; {exceptions}"


def page(build: Path, columns: list[str], named: dict[str, list[str]]) -> str:
    """`named`: of these ops these cases alone."""
    table = run_table(build, columns)
    for suite, names in named.items():
        table[suite] = {name: table.get(suite, {}).get(name, {}) for name in names}
    found = [column for column in columns if any(column in c for s in table.values() for c in s.values())]
    lines = [HEAD, "## Devices", "", *device_rows(build, columns), ""]
    if "vulkan" in found:
        lines += ["## What a Vulkan device may lack", "", *feature_rows(build), ""]
        lines += [
            "With float16 arithmetic, matrix products unpack 2, 3, 4 and 8 bits and f16 in f16 and add up in f32; with",
            "16-bit storage too, those of many rows read x as f16 with a scale a row. A processor that plays a GPU computes",
            "them in f32 unless the option `float16` is `always`. bf16 and f32 weights stay what they are.",
            "",
        ]
    lines += ["## Ops", "", "| op | cases |" + "".join(f" {COLUMNS[column]} |" for column in found)]
    lines += ["|---|---|" + "---|" * len(found)]
    for suite, cases in table.items():
        names = ", ".join(f"`{name}`" for name in cases)
        lines.append(f"| {suite} | {names} |" + "".join(f" {cell(cases, column)} |" for column in found))
    return "\n".join(lines) + "\n"


def check(build: Path, written: str) -> int:
    heads = re.search(r"^\| op \| cases \|(.*)\|$", written, re.MULTILINE).group(1).split(" | ")
    names = [head.strip() for head in heads]
    rows = re.findall(r"^\| (\w+) \| (`.*?`) \|", written, re.MULTILINE)
    named = {suite: re.findall(r"`(\w+)`", cases) for suite, cases in rows}
    fresh = page(build, [column for column, head in COLUMNS.items() if head in names], named)
    difference = list(difflib.unified_diff(written.splitlines(), fresh.splitlines(), "written", "now", lineterm=""))
    print("\n".join(difference) or "docs/support.md is fresh")
    return 1 if difference else 0


def main() -> int:
    if len(sys.argv) == 4 and sys.argv[2] == "--check":
        return check(Path(sys.argv[1]), Path(sys.argv[3]).read_text())
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    print(page(Path(sys.argv[1]), list(COLUMNS), {}), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
