"""Records the program in a terminal as an SVG that plays in a browser: the picture in README.md.

    python3 tools/recording.py build/release docs/recording.svg
    python3 tools/recording.py build/release --check docs/recording.svg

Runs the commands below in a pseudo-terminal and draws what they printed. Only the typing is made up: the output appears as
long after its command as it did in the run. --check compares everything but the numbers, which differ between runs.
Needs Python alone.
"""

import os
import pty
import re
import select
import subprocess
import sys
import tempfile
import time
from html import escape
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
COLUMNS = 132
NEWS = "In a shocking turn of events, blueberries are now green, but will be sticking with the same name."

# Each is typed as it stands here. The folder holds configs/, models/ and news.txt.
COMMANDS = [
    "cat news.txt",
    "ropewalk run configs/cpu.yaml --input news.txt --meta date=2021-01-01 --meta url=https://web.site/123 \\\n"
    '    --instruction "What color are blueberries?  Source?"',
    'ropewalk run configs/cpu.yaml --input news.txt --instruction "What is the capital of Norway?"',
]

# In seconds.
KEY = 0.035
BEFORE_ENTER = 0.4
AFTER_OUTPUT = 1.6

# In pixels.
SIZE, ADVANCE, LINE, MARGIN, BAR = 14, 8.43, 20, 18, 38

HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"
 aria-label="{label}">
<style>
text {{ font: {size}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #e6edf3; white-space: pre }}
.dollar {{ fill: #3fb950; font-weight: bold }} .note {{ fill: #8b949e }} .title {{ fill: #8b949e }}
.t {{ animation: appear 1ms both }}
@keyframes appear {{ from {{ visibility: hidden }} to {{ visibility: visible }} }}
@media (prefers-reduced-motion: reduce) {{ .t {{ animation: none }} }}
</style>
<rect width="{width}" height="{height}" rx="9" fill="#0d1117"/>
<circle cx="20" cy="19" r="6" fill="#ff5f57"/><circle cx="40" cy="19" r="6" fill="#febc2e"/>
<circle cx="60" cy="19" r="6" fill="#28c840"/>
<text x="{middle}" y="24" text-anchor="middle" class="title">ropewalk, 2.6 million parameters on a CPU</text>
"""


def run(command: str, folder: Path, environment: dict[str, str]) -> list[tuple[float, str]]:
    """What it prints to a terminal: pieces, each with the seconds since the command's start."""
    begun = time.monotonic()
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execvpe("bash", ["bash", "-c", f"stty columns {COLUMNS} 2> /dev/null; {command}"], environment)
    pieces = []
    while select.select([terminal], [], [], 60)[0]:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the other side is closed
            break
        pieces.append((time.monotonic() - begun, data.decode(errors="replace")))
    os.waitpid(process, 0)
    os.close(terminal)
    return pieces


def output_lines(pieces: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Lines, each with the time of its first character; without control sequences."""
    lines: list[tuple[float, str]] = []
    for when, text in pieces:
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text)
        for index, part in enumerate(text.split("\n")):
            if index or not lines:
                lines.append((when, part))
            else:
                lines[-1] = (lines[-1][0] if lines[-1][1] else when, lines[-1][1] + part)
    while lines and not lines[-1][1]:
        lines.pop()
    wrapped = [(when, line[at : at + COLUMNS]) for when, line in lines for at in range(0, max(len(line), 1), COLUMNS)]
    return wrapped


class Picture:
    def __init__(self) -> None:
        self.rows: list[str] = []
        self.now = 0.8

    def span(self, text: str, when: float, kind: str = "") -> str:
        names = f"t {kind}".strip()
        return f'<tspan class="{names}" style="animation-delay:{when:.2f}s">{escape(text)}</tspan>'

    def add_row(self, content: str) -> None:
        y = BAR + MARGIN + LINE * len(self.rows)
        self.rows.append(f'<text x="{MARGIN}" y="{y}" xml:space="preserve">{content}</text>')

    def type_command(self, command: str) -> None:
        for index, line in enumerate(command.split("\n")):
            content = self.span("$ ", self.now, "dollar") if index == 0 else ""
            for character in line:
                self.now += KEY
                content += self.span(character, self.now)
            self.add_row(content)
        self.now += BEFORE_ENTER

    def add_output(self, lines: list[tuple[float, str]]) -> None:
        for when, line in lines:
            kind = "note" if line.startswith("note: ") else ""
            self.add_row(self.span(line, self.now + when, kind))
        self.now += lines[-1][0] + AFTER_OUTPUT
        self.add_row("")

    def svg(self) -> str:
        width = int(2 * MARGIN + COLUMNS * ADVANCE)
        height = BAR + MARGIN + LINE * len(self.rows)
        label = "A terminal: ropewalk answers a question from a text, with its source"
        head = HEAD.format(width=width, height=height, size=SIZE, middle=width // 2, label=label)
        return head + "\n".join(self.rows) + "\n</svg>\n"


def record(build: Path) -> str:
    picture = Picture()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in ("configs", "models"):
            (folder / name).symlink_to(TREE / name)
        (folder / "news.txt").write_text(NEWS + "\n")
        environment = {**os.environ, "PATH": f"{build.resolve() / 'bin'}:{os.environ['PATH']}", "TERM": "xterm"}
        # The first start reads the libraries from the disk.
        subprocess.run(["bash", "-c", "ropewalk plugins"], env=environment, stdout=subprocess.DEVNULL, check=True)
        for command in COMMANDS:
            picture.type_command(command)
            picture.add_output(output_lines(run(command, folder, environment)))
    return picture.svg()


def without_numbers(svg: str) -> str:
    return re.sub(r"\d+(\.\d+)?", "0", svg)


def main() -> int:
    arguments = [argument for argument in sys.argv[1:] if argument != "--check"]
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    svg = record(Path(arguments[0]))
    file = Path(arguments[1])
    if "--check" not in sys.argv:
        file.write_text(svg)
        return 0
    if without_numbers(svg) == without_numbers(file.read_text()):
        print(f"{file} shows what the program prints")
        return 0
    print(f"{file} differs from what the program prints: record it again, python3 tools/recording.py BUILD {file}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
