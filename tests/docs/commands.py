"""Runs the commands that a document prints, in a temporary folder, with the built program.

    python3 tests/docs/commands.py BUILD DOCUMENT... [--long] [--keep DIR]

What a document may say, in this order of lines:

    <!-- not run: REASON -->      the next block is not run; REASON is one of REASONS, or "in FILE" of a test that runs it
    <!-- file: NAME -->           the next block is written to the file NAME before the next commands run
    ```sh                         commands of bash, which must all succeed; files that they make stay for later blocks
    ```output                     lines that the commands before it must have printed to stdout, in this order

Every other block holds no commands. A command in a block that is not `sh`, a marker with another reason and an option that
`ropewalk COMMAND --help` does not list are failures; options are looked for in blocks that are not run and in `code` too.

The folder has links to the tree's folders and stand-ins for what a reader has (stand_ins.py). A server is started behind
the scenes on a free port, which replaces 127.0.0.1:8000, and must end well at SIGTERM.
"""

import argparse
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import stand_ins

TREE = Path(__file__).resolve().parents[2]

# What a machine that runs the tests may lack.
REASONS = {
    "needs a GPU",
    "needs a network",
    "needs a container engine",
    "needs a cluster",
    "needs root",
    "needs a model of 13 billion parameters",
    "builds the whole tree",
    "needs a quiet machine",
    "takes long",  # run with --long
}

COMMAND = re.compile(
    r"(\$ |\./|(sudo |[A-Z_]+=\S+ )*"
    r"(ropewalk(?! serves )|scripts/|deploy/\w+\.sh|cmake|ctest|cpack|ninja|python3?|pip|hf|huggingface-cli|curl|podman|docker|apt|apt-get|dpkg|git|"
    r"kubectl|systemctl|sbatch|bash|iconv) )"
)

# Starts servers in the background, on $PORT, and waits for their line.
PRELUDE = """
set -e -o pipefail
servers=()
ropewalk() {
  [ "${1:-}" = serve ] || { command ropewalk "$@"; return; }
  command ropewalk "$@" --listen 127.0.0.1:$PORT > "$OUT/serve.out" 2> "$OUT/serve.err" < /dev/null &
  servers+=($!)
  for _ in $(seq 600); do
    grep -q serves "$OUT/serve.out" && return
    kill -0 $! 2> /dev/null || { cat "$OUT/serve.err" >&2; return 1; }
    sleep 0.05
  done
  echo "the server was not ready within 30 s" >&2; return 1
}
finish() {
  code=$?
  for server in "${servers[@]}"; do
    kill -TERM "$server"
    wait "$server" || [ $? -eq 143 ] || { echo "the server ended badly" >&2; code=1; }
  done
  exit "$code"
}
trap finish EXIT
"""


@dataclass
class Block:
    line: int  # of its first line
    language: str
    text: str
    not_run: str = ""  # the reason
    file: str = ""


@dataclass
class Document:
    path: Path
    blocks: list[Block] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def fail(self, line: int, what: str) -> None:
        self.failures.append(f"{self.path.relative_to(TREE)}:{line}: {what}")


def parse(path: Path) -> Document:
    document = Document(path)
    marker: tuple[int, str, str] | None = None
    block: Block | None = None
    indent = ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fence = re.fullmatch(r"( *)```(\w*)", line)
        if block is not None:
            if fence and not fence[2]:
                document.blocks.append(block)
                block = None
            else:
                block.text += line.removeprefix(indent) + "\n"
            continue
        if fence:
            indent = fence[1]
            block = Block(number + 1, fence[2], "")
            if marker and marker[1] == "file":
                block.file = marker[2]
            elif marker:
                block.not_run = marker[2]
            marker = None
            continue
        if marker:
            document.fail(marker[0], "no block follows this marker")
            marker = None
        if found := re.fullmatch(r" *<!-- (not run|file): (.*) -->", line):
            marker = (number, *found.groups())
        elif re.match(r"    +" + COMMAND.pattern, line) and not re.match(r" *([-*]|\d+\.) ", line):
            document.fail(number, f"a command stands outside of a block: {line.strip()}")
    return document


def check_form(document: Document) -> None:
    for block in document.blocks:
        if block.not_run:
            test = re.fullmatch(r"in (\S+)", block.not_run)
            if block.language != "sh":
                document.fail(block.line, "what is marked as not run is no sh block")
            elif test and not (TREE / test[1]).is_file():
                document.fail(block.line, f"there is no test {test[1]}")
            elif not test and block.not_run not in REASONS:
                document.fail(block.line, f"{block.not_run!r} is no known reason; there are {', '.join(sorted(REASONS))}")
        if block.language in ("sh", "output") or block.file:
            continue
        for offset, line in enumerate(block.text.splitlines()):
            if COMMAND.match(line):
                document.fail(block.line + offset, f"a command in a block that is not sh: {line}")


class Help:
    """The options that each command of the program has."""

    def __init__(self, program: Path):
        self.program = program
        self.texts: dict[tuple[str, ...], str | None] = {}

    def of(self, words: tuple[str, ...]) -> str | None:
        if words not in self.texts:
            result = subprocess.run([self.program, *words, "--help"], capture_output=True, text=True)
            general = words and result.stdout == self.of(())  # there is no such command
            self.texts[words] = None if general or result.returncode else result.stdout
        return self.texts[words]

    def unknown(self, command: str) -> str:
        """What is wrong with `ropewalk ...`; empty: nothing."""
        words = command.replace("\\|", "|").split()[1:]
        if not words or not re.fullmatch(r"[a-z]+", words[0]):
            return ""
        name = tuple(words[:2]) if words[0] == "adapter" and len(words) > 1 else (words[0],)
        text = self.of(name)
        if text is None:
            return f"there is no command {' '.join(name)}"
        for option in re.findall(r"(?<=[\s\[(|])--[a-z][a-z-]*", command):
            if not re.search(re.escape(option) + r"(?![a-z-])", text):
                return f"{' '.join(name)} has no option {option}"
        return ""


def check_options(document: Document, program: Path) -> None:
    known = Help(program)
    for block in document.blocks:
        if block.language == "sh":
            for offset, line in enumerate(block.text.replace("\\\n", "\\ \n").splitlines()):
                for command in re.findall(r"(?:^|[;&|(] *)(ropewalk [^#;&|]*)", line):
                    if wrong := known.unknown(command):
                        document.fail(block.line + offset, wrong)
    in_block = False
    for number, line in enumerate(document.path.read_text().splitlines(), 1):
        in_block ^= line.lstrip().startswith("```")
        if not in_block:
            for command in re.findall(r"`(ropewalk [^`]*)`", line):
                if wrong := known.unknown(command):
                    document.fail(number, wrong)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(build: Path, folder: Path, out: Path, port: int) -> dict[str, str]:
    return {
        "PATH": f"{folder / 'bin'}:{build / 'bin'}:{os.environ['PATH']}",
        "HOME": str(folder),
        "HF_HOME": str(folder / "huggingface"),
        "HF_HUB_OFFLINE": "1",
        "LANG": "C.UTF-8",
        "OUT": str(out),
        "PORT": str(port),
    }


def session(document: Document, port: int, long: bool) -> tuple[str, list[Block]]:
    """The script of a document, and the blocks that it runs."""
    script, run = PRELUDE, []
    for block in document.blocks:
        text = block.text.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
        if block.file:
            script += f"cat > {shlex.quote(block.file)} <<'END OF FILE'\n{text}END OF FILE\n"
        elif block.language == "sh" and (not block.not_run or block.not_run == "takes long" and long):
            script += f'exec > "$OUT/{len(run)}.out" 2> "$OUT/{len(run)}.err"\nset -x\n{text}{{ set +x; }} 2> /dev/null\n'
            run.append(block)
    return script, run


def check_outputs(document: Document, run: list[Block], out: Path) -> None:
    before: Block | None = None
    for block in document.blocks:
        if block.language == "output" and before in run:
            file = out / f"{run.index(before)}.out"
            printed = file.read_text().splitlines() if file.exists() else []
            at = 0
            for line in block.text.splitlines():
                if line not in printed[at:]:
                    document.fail(block.line, f"the commands do not print: {line}")
                    break
                at = printed.index(line, at) + 1
        elif block.language == "sh":
            before = block


def run_commands(document: Document, build: Path, folder: Path, long: bool) -> int:
    stand_ins.lay_out(folder, build)
    out = folder / ".out"
    out.mkdir()
    port = free_port()
    script, run = session(document, port, long)
    result = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment(build, folder, out, port), stdin=subprocess.DEVNULL
    )
    if result.returncode:
        last = max((n for n in range(len(run)) if (out / f"{n}.err").exists()), default=0)
        said = (out / f"{last}.err").read_text() if run else ""
        document.fail(run[last].line if run else 1, f"the commands end with {result.returncode}:\n{said[-3000:]}")
    check_outputs(document, run, out)
    return len(run)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("documents", type=Path, nargs="+")
    parser.add_argument("--long", action="store_true", help="run what takes long too")
    parser.add_argument("--keep", type=Path, help="run in this folder, which must not exist, and keep it")
    arguments = parser.parse_args()
    build = arguments.build.resolve()

    failures: list[str] = []
    for path in arguments.documents:
        document = parse(path.resolve())
        check_form(document)
        check_options(document, build / "bin/ropewalk")
        with tempfile.TemporaryDirectory() as scratch:
            folder = arguments.keep or Path(scratch) / "session"
            folder.mkdir(parents=True)
            ran = run_commands(document, build, folder.resolve(), arguments.long)
        left = sum(1 for block in document.blocks if block.not_run)
        print(f"{path}: {ran} blocks of commands ran, {left} are marked as not run")
        failures += document.failures
    for failure in failures:
        print(f"FAIL {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
