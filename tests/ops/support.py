"""Writes docs/support.md: what each device found on this machine does, from a run of test_ops.

    python3 tests/ops/support.py build/release/tests/test_ops > docs/support.md

A case that passes is "yes", one that is skipped shows the device's reason, one that fails "FAILS".
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HEAD = """# What runs where

Written by `tests/ops/support.py` from the table of cases in `tests/ops`; do not edit. A column is a
device; the CPU has one more for each narrower instruction set and for one thread.
"""


def run(program: Path) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        subprocess.run(
            [program, "--gtest_filter=Ops/*", f"--gtest_output=json:{report}"],
            stdout=subprocess.DEVNULL,
            check=False,
        )
        return json.loads(report.read_text())


def outcome(case: dict) -> str:
    if "failures" in case:
        return "FAILS"
    if "skipped" in case:
        lines = case["skipped"][0]["message"].splitlines()
        return next(line for line in reversed(lines) if line.strip()).split(": ")[-1]
    return "yes"


def main() -> None:
    cells: dict[str, dict[str, str]] = {}
    devices: list[str] = []
    for suite in run(Path(sys.argv[1]))["testsuites"]:
        for case in suite["testsuite"]:
            name, device = case["name"].rsplit("/", 1)
            if device not in devices:
                devices.append(device)
            cells.setdefault(f"{suite['name'].removeprefix('Ops/')}.{name}", {})[device] = outcome(case)
    print(HEAD)
    print("| case |" + "".join(f" {device} |" for device in devices))
    print("|---|" + "---|" * len(devices))
    for case, row in cells.items():
        print(f"| {case} |" + "".join(f" {row.get(device, '')} |" for device in devices))


if __name__ == "__main__":
    main()
