"""Every setting of docs/coming-from.md is one that the program takes.

    python3 tests/docs/coming_from.py BUILD

Runs one token of the bundled model with each `code` of the tables' right-hand columns, N and other words in capitals filled in.
Commands and their options are commands.py's part.
"""

import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
PAGE = TREE / "docs/coming-from.md"
SECTIONS = {"context", "rope", "serve", "prompt", "generation"}
ROPE_SYNONYMS = {"compress_pos_emb": "linear", "alpha_value": "ntk"}
# Words that are no setting by themselves.
WORDS = {"config.json", "rope_theta", "template", "int8", "chunk", "sampling", "taskset", "hf download", "ROPEWALK_API_KEYS"}
FILLED = [
    ("length: N", "length: 64"), ("factor: N", "factor: 2"), ("alpha: N", "alpha: 2"), ("[...]", "[x]"),
    ("format: NAME", "format: vicuna-v1.1"), ("NAME", "some"), ("TEXT", "some"), ("FILE", "keys"),
    ("ADDRESS:PORT", "127.0.0.1:8000"), ("cache_tokens: N", "cache_tokens: 4096"), ("N", "1"),
]  # fmt: skip


def right_hand_codes(page: str) -> list[tuple[int, str]]:
    codes = []
    for number, line in enumerate(page.splitlines(), 1):
        if line.startswith("| ") and not line.startswith("|---"):
            cell = line.rstrip(" |").rsplit(" | ", 1)[-1]
            codes += [(number, code) for code in re.findall(r"`([^`]+)`", cell)]
    return codes


def configuration(code: str) -> str | None:
    """A configuration with this setting; None: it is none."""
    if code in WORDS or code.startswith(("ropewalk ", "-", "model: ", "adapter", "MODEL", "/")):
        return None
    for word, value in FILLED:
        code = re.sub(rf"(?<![A-Za-z]){re.escape(word)}(?![A-Za-z])", value, code)
    key = code.split(":")[0]
    if key in SECTIONS:
        setting = code
    elif key in ROPE_SYNONYMS:
        setting = f"rope: {{policy: {ROPE_SYNONYMS[key]}, {code}}}"
    else:
        setting = f"sampling: [{{{code}}}]" if ":" in code else f"sampling: [{code}]"
    return f"model: {TREE / 'models/airophin-mini'}\nbackend: cpu\n{setting}\n"


def main() -> int:
    program = Path(sys.argv[1]).resolve() / "bin/ropewalk"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "keys").write_text("me:a-long-secret-key\n")
        (folder / "keys").chmod(0o600)

        def refusal(item: tuple[int, str]) -> str:
            number, code = item
            text = configuration(code)
            if text is None:
                return ""
            file = folder / f"{number}-{abs(hash(code))}.yaml"
            file.write_text(text)
            arguments = [program, "run", file, "--prompt", "a", "-n", "1", "--quiet"]
            result = subprocess.run(arguments, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            return f"FAIL docs/coming-from.md:{number}: `{code}`: {result.stderr}" if result.returncode else ""

        codes = right_hand_codes(PAGE.read_text())
        with ThreadPoolExecutor(2) as pool:
            refusals = [refused for refused in pool.map(refusal, codes) if refused]
    settings = sum(1 for _, code in codes if configuration(code))
    print("\n".join(refusals) or f"ok: {settings} settings")
    return 1 if refusals or settings < 60 else 0


if __name__ == "__main__":
    sys.exit(main())
