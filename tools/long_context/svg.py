"""Two kinds of picture as SVG text, without a library: lines over context length, and a map of shares."""

from __future__ import annotations

import math

COLOURS = ("#1b6ca8", "#c8553d", "#3c8d5a", "#7a5195", "#d19a1e", "#4d4d4d", "#00a6a6", "#b03a7a")
STYLE = "font-family='sans-serif' font-size='12'"


def text(x: float, y: float, words: str, anchor: str = "middle", more: str = "") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' {more}>{words}</text>"


def document(width: int, height: int, parts: list[str]) -> str:
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' {STYLE}>"
    return "\n".join([head, f"<rect width='{width}' height='{height}' fill='white'/>", *parts, "</svg>"]) + "\n"


def lines(title: str, series: dict[str, dict[int, list[float]]], marks: dict[int, str]) -> str:
    """series: name -> context -> values of the seeds (a band where there are several); y is logarithmic.

    marks: contexts with a dashed upright line and what it means.
    """
    width, height, left, right, top, bottom = 860, 460, 60, 250, 40, 50
    xs = sorted({x for points in series.values() for x in points})
    ys = [y for points in series.values() for values in points.values() for y in values]
    low, high = math.log(min(ys)) - 0.05, math.log(max(ys)) + 0.05

    def px(x: float) -> float:
        return left + (x - xs[0]) / (xs[-1] - xs[0]) * (width - left - right)

    def py(y: float) -> float:
        return height - bottom - (math.log(y) - low) / (high - low) * (height - top - bottom)

    parts = [text((width - right + left) / 2, 20, title, more="font-size='14'")]
    for y in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100, 200, 500):
        if low <= math.log(y) <= high:
            parts.append(f"<path d='M{left} {py(y):.1f}H{width - right}' stroke='#dddddd'/>")
            parts.append(text(left - 8, py(y) + 4, f"{y:g}", "end"))
    for x in xs:
        parts.append(text(px(x), height - bottom + 18, str(x)))
    for x, words in marks.items():
        parts.append(f"<path d='M{px(x):.1f} {top}V{height - bottom}' stroke='#888888' stroke-dasharray='4 4'/>")
        parts.append(text(px(x) + 4, top + 10, words, "start", "fill='#666666'"))
    parts.append(text((width - right + left) / 2, height - 10, "tokens of context"))
    for number, (name, points) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        order = sorted(points)
        edge = [(px(x), py(max(points[x]))) for x in order] + [(px(x), py(min(points[x]))) for x in reversed(order)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in edge)
        parts.append(f"<polygon points='{path}' fill='{colour}' fill-opacity='0.2'/>")
        middle = " ".join(f"{px(x):.1f},{py(sum(points[x]) / len(points[x])):.1f}" for x in order)
        dash = " stroke-dasharray='6 3'" if name.startswith("base") else ""
        parts.append(f"<polyline points='{middle}' fill='none' stroke='{colour}' stroke-width='2'{dash}/>")
        y = top + 10 + 20 * number
        parts.append(f"<path d='M{width - right + 14} {y}h24' stroke='{colour}' stroke-width='2'{dash}/>")
        parts.append(text(width - right + 44, y + 4, name, "start"))
    return document(width, height, parts)


def heat_map(title: str, cells: dict[tuple[int, float], float]) -> str:
    """cells: (length, depth) -> share from 0 to 1."""
    lengths, depths = sorted({l for l, _ in cells}), sorted({d for _, d in cells})
    size, left, top = 64, 90, 60
    parts = [text(left + size * len(lengths) / 2, 20, title, more="font-size='14'")]
    for i, length in enumerate(lengths):
        parts.append(text(left + size * (i + 0.5), top - 8, str(length)))
        for j, depth in enumerate(depths):
            share = cells[length, depth]
            red, green, blue = (round(a + (b - a) * share) for a, b in zip((247, 247, 247), (27, 108, 168)))
            x, y = left + size * i, top + size // 2 * j
            parts.append(f"<rect x='{x}' y='{y}' width='{size}' height='{size // 2}' stroke='white' "
                         f"fill='rgb({red},{green},{blue})'/>")
            ink = "white" if share > 0.5 else "#333333"
            parts.append(text(x + size / 2, y + size / 4 + 4, f"{100 * share:.0f}", more=f"fill='{ink}'"))
    for j, depth in enumerate(depths):
        parts.append(text(left - 10, top + size // 2 * j + size / 4 + 4, f"{depth:g}", "end"))
    parts.append(text(left - 10, top - 8, "depth", "end"))
    return document(left + size * len(lengths) + 20, top + size // 2 * len(depths) + 20, parts)
