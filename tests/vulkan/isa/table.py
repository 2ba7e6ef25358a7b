#!/usr/bin/env python3
"""What a real driver's compiler makes of the Vulkan shaders, as a table.

    table.py BUILD --check table.txt     fails where a figure moved by more than 3 % from the table
    table.py BUILD --write table.txt     writes the table anew, on purpose
    table.py BUILD --family navi31 --keep FOLDER     leaves the machine code there, to be read
    table.py BUILD --matrix --driver ICD.json        the kernels of matrix cores alone, for navi31

Debian 12's driver (Mesa 22.3) has no cooperative matrices; docs/writing-a-backend.md tells where one that has comes from,
and the compiler that their shaders need.

It runs `ropewalk bench` on one layer of a 13B model, on a card that is not there (card.cpp): Mesa's
RADV compiles for it, and nothing runs. Exit code 77 where the driver is missing or of another
version than the table's: its figures would be another compiler's.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile

DRIVER = "/usr/share/vulkan/icd.d/radeon_icd.x86_64.json"
# RDNA 3 as a large and a small card, RDNA 2 as a card and as the Steam Deck.
FAMILIES = ("gfx1100", "gfx1102", "navi21", "vangogh")
BENCH = ("--shape", "llama2-13b", "--layers", "1", "--prompt", "512", "--batch", "1,2,8,16,32", "--decode", "1")
MATRIX_FAMILIES = ("navi31",)  # as Mesa 25 names gfx1100
TOLERANCE = 0.03
SKIPPED = 77
MAX_MEMORY = 8 << 30

# A quarter of the rate of other vector instructions (RDNA 2 and 3 ISA reference guides).
QUARTER = ("v_mul_lo_u32", "v_mul_hi_u32", "v_mul_hi_i32", "v_rcp", "v_exp", "v_rsq", "v_sqrt", "v_log", "v_sin", "v_cos")


def blocks_of(assembly):
    """[(label, [(instruction, operands)])] in the order of the code."""
    blocks = []
    for line in assembly.splitlines():
        if label := re.match(r"\s*BB(\d+):", line):
            blocks.append((int(label[1]), []))
        elif blocks and (code := re.match(r"\s+([a-z][a-z0-9_]+)([^;]*)", line)):
            blocks[-1][1].append((code[1], code[2]))
    return blocks


def loops_of(blocks):
    """Instructions of each innermost loop: from a block to a branch back to it."""
    place = {label: i for i, (label, _) in enumerate(blocks)}
    spans = set()
    for i, (_, codes) in enumerate(blocks):
        for name, operands in codes:
            target = re.search(r"BB(\d+)", operands)
            if target and name.startswith(("s_cbranch", "s_branch")) and place.get(int(target[1]), i + 1) <= i:
                spans.add((place[int(target[1])], i))
    inner = [s for s in spans if not any(o != s and s[0] <= o[0] and o[1] <= s[1] for o in spans)]
    return [[code for _, codes in blocks[first:last + 1] for code in codes] for first, last in sorted(inner)]


def vector_issues(codes):
    """Issues of the vector unit, a quarter-rate instruction as four."""
    return sum(4 if name.startswith(QUARTER) else 1 for name, _ in codes if name.startswith("v_"))


def bytes_in_flight(codes):
    """Most bytes of a lane's loads that are under way at once. `vmcnt(n)` waits until only n are."""
    size = {"b128": 16, "x4": 16, "b96": 12, "x3": 12, "b64": 8, "x2": 8}
    most, flying = 0, []
    for name, operands in codes:
        if name.startswith(("global_load", "buffer_load")):
            flying.append(size.get(name.rsplit("dword", 1)[-1] if "dword" in name else name.rsplit("_", 1)[-1], 4))
            most = max(most, sum(flying))
        elif name == "s_waitcnt" and (count := re.search(r"vmcnt\((\d+)\)", operands)):
            flying = flying[len(flying) - min(int(count[1]), len(flying)):]
    return most


def words_of(shader, constants):
    """Words of weights that one invocation uses in an iteration; 0 for kernels without such a loop."""
    if not shader.startswith(("gptq_matvec", "gptq_lean", "gptq_qkv")) or len(constants) < 10:
        return 0
    bits, columns, ahead = constants[2], constants[4], constants[9]
    weights = 2 if "gated" in shader else 1
    return bits * columns * ahead * weights  # a block has 32 rows of a column


def row_of(text, assembly):
    facts = dict(line.split("=", 1) for line in text.splitlines())
    constants = [int(c) for c in facts["constants"].split(".")]
    blocks = blocks_of(assembly)
    codes = [code for _, block in blocks for code in block]
    words = words_of(facts["shader"], constants)
    # Of a product the loop that loads W, not one behind it.
    hot = max(loops_of(blocks), key=lambda loop: (words > 0 and bytes_in_flight(loop) > 0, vector_issues(loop)), default=[])
    matrices = sum(name.startswith("v_wmma") for name, _ in codes)
    spilled = int(facts["Spilled VGPRs"]) + int(facts["Spilled SGPRs"])
    return collections.OrderedDict(
        VGPRs=int(facts["VGPRs"]), waves=int(facts["Subgroups per SIMD"]), spills=spilled,
        shared=int(facts["LDS size"]), instructions=len(codes), loop=vector_issues(hot),
        word=round(vector_issues(hot) / words, 1) if words else "-",
        flight=bytes_in_flight(hot or codes) * int(facts["subgroup"]),
        **({"wmma": matrices} if matrices else {}))


def compile_all(build, family, folder, driver_file):
    """{(family, kernel): row}; a skip where there is no such driver."""
    environment = dict(os.environ, VK_DRIVER_FILES=str(driver_file), VK_ICD_FILENAMES=str(driver_file), RADV_FORCE_FAMILY=family,
                       MESA_SHADER_CACHE_DISABLE="true", ROPEWALK_ISA_FOLDER=str(folder))
    environment.pop("ROPEWALK_VULKAN_VALIDATE", None)
    backend = f"backend={{name: vulkan, loader: {build}/tests/card_loader.so, pipeline-cache: false, mask-features: [timestamps]}}"
    # A driver's compiler that runs away must not take the machine's memory with it.
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    run = subprocess.run([build / "bin/ropewalk", "bench", *BENCH, "--json", "--set", backend], env=environment,
                         capture_output=True, text=True, preexec_fn=limit)
    if run.returncode:
        sys.exit(f"{family}: exit code {run.returncode}: {run.stderr.strip()}")
    driver = re.search(r"radv Mesa [0-9.]+", run.stdout)
    rows = {}
    for file in sorted(folder.glob("*.txt")):
        rows[family, file.stem] = row_of(file.read_text(), file.with_suffix(".asm").read_text())
    for step in json.loads(run.stdout)["rows"]:
        row = rows[family, f"step:{step['kind']}-{step['batch']}"] = collections.OrderedDict(
            dispatches=step["dispatches"], barriers=step["barriers"])
        if step["kind"] == "decode":  # what the step has to read, at the rate that the run shows
            row["bytes"] = round(step["gbs"] * 1e9 / step["tokens_per_s"] * step["batch"])
    return driver[0] if driver else "an unknown driver", rows


def line_of(key, row):
    return " ".join((*key, *(f"{name}={value}" for name, value in row.items())))


def parse(table):
    rows = {}
    for line in table.splitlines():
        if line and not line.startswith("#"):
            family, kernel, *figures = line.split()
            rows[family, kernel] = dict(f.split("=") for f in figures)
    return rows


def differences(wanted, found):
    for key in sorted(wanted.keys() | found.keys()):
        name = " ".join(key)
        if key not in found:
            yield f"{name}: in the table, but not compiled"
        elif key not in wanted:
            yield f"{name}: compiled, but not in the table"
        else:
            for figure, value in found[key].items():
                old = wanted[key].get(figure, "-")
                moved = old != str(value) if "-" in (old, str(value)) else abs(float(value) - float(old)) > TOLERANCE * abs(float(old))
                if moved:
                    yield f"{name}: {figure} is {value}, the table says {old}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("build", type=pathlib.Path)
    arguments.add_argument("--check", type=pathlib.Path)
    arguments.add_argument("--write", type=pathlib.Path)
    arguments.add_argument("--family", action="append", help="by default " + ", ".join(FAMILIES))
    arguments.add_argument("--keep", type=pathlib.Path)
    arguments.add_argument("--driver", type=pathlib.Path, default=DRIVER)
    arguments.add_argument("--matrix", action="store_true")
    arguments = arguments.parse_args()
    build = arguments.build.resolve()
    families = arguments.family or (MATRIX_FAMILIES if arguments.matrix else FAMILIES)
    if not pathlib.Path(arguments.driver).exists():
        print(f"skipped: no {arguments.driver} (Debian package mesa-vulkan-drivers)")
        return SKIPPED
    found = {}
    for family in families:
        with tempfile.TemporaryDirectory() as scratch:
            folder = arguments.keep / family if arguments.keep else pathlib.Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            driver, rows = compile_all(build, family, folder, arguments.driver)
            rows = {k: r for k, r in rows.items() if not arguments.matrix or "_cooperative" in k[1] or k[1].startswith("step:")}
            found.update(rows)
    lines = [f"# {driver}; by tests/vulkan/isa/table.py, which says what the figures are", *(line_of(k, r) for k, r in found.items())]
    if arguments.write:
        arguments.write.write_text("\n".join(lines) + "\n")
    elif arguments.check:
        table = arguments.check.read_text()
        if driver not in table.splitlines()[0]:
            print(f"skipped: the driver is {driver}, the table is of another: {table.splitlines()[0]}")
            return SKIPPED
        wanted = {k: r for k, r in parse(table).items() if k[0] in families}
        wrong = list(differences(wanted, found))
        print("\n".join(wrong) or f"{len(found)} rows are as in the table")
        if wrong:
            print(f"If that was the purpose: tests/vulkan/isa/table.py BUILD --write {arguments.check}")
        return 1 if wrong else 0
    else:
        print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
