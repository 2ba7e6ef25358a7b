"""core/pattern/stand_ins.inc and tests/fixtures/bpe/unicode-classes.txt: what Unicode 16 knows and Unicode 14 does not.

Debian 12's PCRE2 has Unicode 14, the `tokenizers` library 16. A stand-in is a character of Unicode 14 with the same general category and the
same length in UTF-8.
"""
from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

import unicodedata2
from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xd800 <= c < 0xe000]
MONGOLIAN_VOWEL_SEPARATOR, ZERO_WIDTH_SPACE = 0x180e, 0x200b  # white space to PCRE2, not to Unicode
FIRST_TARGET = {3: 0xa000, 4: 0x10000}  # blocks that no pattern is known to name


def length(point: int) -> int:
    return 1 + (point >= 0x80) + (point >= 0x800) + (point >= 0x10000)


def stand_ins() -> list[tuple[int, int, int]]:
    """(first, last, stand-in), ascending."""
    assert unicodedata.unidata_version == "14.0.0" and unicodedata2.unidata_version == "16.0.0"
    old = [unicodedata.category(chr(c)) for c in range(0x110000)]
    targets: dict[tuple[str, int], int] = {}
    for size, first in FIRST_TARGET.items():
        for point in range(first, 0x110000):
            if length(point) == size:
                targets.setdefault((old[point], size), point)
    singles = [(MONGOLIAN_VOWEL_SEPARATOR, ZERO_WIDTH_SPACE)]
    for point in CODE_POINTS:
        category = unicodedata2.category(chr(point))
        if category != old[point]:
            singles.append((point, targets[category, length(point)]))
    ranges: list[tuple[int, int, int]] = []
    for point, target in sorted(singles):
        if ranges and ranges[-1][1] == point - 1 and ranges[-1][2] == target:
            ranges[-1] = (ranges[-1][0], point, target)
        else:
            ranges.append((point, point, target))
    return ranges


def ranges_of(points: Iterable[int]) -> str:
    found: list[list[int]] = []
    for point in sorted(points):
        if found and found[-1][1] == point - 1:
            found[-1][1] = point
        else:
            found.append([point, point])
    return " ".join(f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in found)


def matched_by(pattern: str) -> set[int]:
    """What `tokenizers` finds for a pattern of one character."""
    split, members = pre_tokenizers.Split(Regex(pattern), "removed"), set()
    for i in range(0, len(CODE_POINTS), 20000):
        chunk = CODE_POINTS[i:i + 20000]
        left = {ord(c) for piece, _ in split.pre_tokenize_str("".join(map(chr, chunk))) for c in piece}
        members |= set(chunk) - left
    return members


def word_characters() -> set[int]:
    """Those beside which `tokenizers` does not find an added token with single_word."""
    tokenizer = Tokenizer(models.BPE(vocab={"<unk>": 0}, merges=[], unk_token="<unk>"))
    tokenizer.add_tokens([AddedToken("QQ", single_word=True, normalized=False)])
    found = set()
    for i in range(0, len(CODE_POINTS), 5000):
        chunk = CODE_POINTS[i:i + 5000]
        for point, encoding in zip(chunk, tokenizer.encode_batch([chr(c) + "QQ" for c in chunk])):
            if 1 not in encoding.ids:
                found.add(point)
    return found


def write(root: Path) -> None:
    table = stand_ins()
    lines = [f"    {{0x{a:04X}, 0x{b:04X}, 0x{target:04X}}},\n" for a, b, target in table]
    (root / "core/pattern/stand_ins.inc").write_text(
        "// Written by `python -m tools.tokenizer_json unicode`: {first, last, stand-in}.\n" + "".join(lines))
    folder = root / "tests/fixtures/bpe"
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{name} {ranges_of(matched_by(name))}\n" for name in
            (r"\p{L}", r"\p{Lu}", r"\p{Ll}", r"\p{Lt}", r"\p{Lm}", r"\p{Lo}", r"\p{M}", r"\p{N}", r"\p{Nd}", r"\p{P}", r"\p{S}", r"\s", r"\d")]
    rows.append(f"\\w {ranges_of(word_characters())}\n")
    (folder / "unicode-classes.txt").write_text("".join(rows))
    print(f"wrote {len(table)} ranges of {sum(b - a + 1 for a, b, _ in table)} stand-ins, {len(rows)} classes")
