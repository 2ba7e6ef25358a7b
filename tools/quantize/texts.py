"""Two runs of the relatives' held-out text that share no token: one to quantise the bundled model on, one to measure it on."""
from __future__ import annotations

from pathlib import Path

TEXT = Path("models/long-context/held-out.ids")
MEASURED = Path("tests/fixtures/airophin-mini/training-form.ids")  # the first 4096 tokens of TEXT


def write_windows(file: Path, count: int, length: int) -> Path:
    """Windows for --calibration, from the text behind what is measured on."""
    ids, first = TEXT.read_text().split(), len(MEASURED.read_text().split())
    windows = [ids[first + i * length:first + (i + 1) * length] for i in range(count)]
    assert len(windows[-1]) == length, "the text is too short"
    file.write_text("".join(" ".join(window) + "\n" for window in windows))
    return file
