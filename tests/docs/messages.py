"""Every message that a document explains is one that the program can say.

    python3 tests/docs/messages.py DOCUMENT...

In tables whose head is `message` or `reason` the `code` of the first column is looked up in the string literals of the sources, piece
by piece: `...`, words in capitals, numbers, keys and what is in brackets stand for what the program fills in.
"""

import re
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
FILLED = re.compile(r"\.\.\.|\([^)]*\)|\b[a-z]+_[a-z_]+: |\b[A-Z]{1,12}(?:/[A-Z]+)?\b|\b\d+(?:\.\d+)?\b|\"[^\"]*\"")
# Names in messages that look like what is filled in.
NAMES = ["NVIDIA", "CUDA", "UTF", "ROPEWALK_CUDA_ARCHITECTURES", "CUDA_VISIBLE_DEVICES"]


def spoken(tree: Path) -> str:
    """All string literals, neighbours joined, with a space for what is formatted in."""
    text = ""
    for folder in ("apps", "backends", "core", "cmake"):
        for file in sorted((tree / folder).rglob("*")):
            if file.suffix in (".cpp", ".h", ".cu", ".cmake") or file.name == "CMakeLists.txt":
                source = re.sub(r'"\s*\n\s*"', "", file.read_text())
                text += re.sub(r"\{[^}\n]{0,12}\}", "\0", source)
    return text


def pieces(message: str) -> list[str]:
    for index, name in enumerate(NAMES):
        message = message.replace(name, chr(0xE000 + index))
    found = FILLED.split(message)
    for index, name in enumerate(NAMES):
        found = [piece.replace(chr(0xE000 + index), name) for piece in found]
    return [piece.strip(" ,;:()") for piece in found if len(piece.strip(" ,;:()")) > 3]


def main() -> int:
    said = spoken(TREE)
    failures, count = [], 0
    for name in sys.argv[1:]:
        in_table = False
        for number, line in enumerate(Path(name).read_text().splitlines(), 1):
            in_table = line.startswith("|") and (in_table or re.match(r"\| (message|reason) \|", line) is not None)
            if in_table:
                first = line.split(" | ")[0]
                for message in re.findall(r"`([^`]+)`", first):
                    count += 1
                    failures += [
                        f"FAIL {name}:{number}: the program never says `{piece}`"
                        for piece in pieces(message)
                        if piece not in said
                    ]
    print("\n".join(failures) or f"ok: {count} messages")
    return 1 if failures or count < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
