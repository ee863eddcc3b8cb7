# SPDX-License-Identifier: MIT OR Apache-2.0
"""The ratios of a run as an SVG: a row for each operation, a mark for each side, to the right of
the line where datawal is the faster one."""
import math
from xml.sax.saxutils import escape

import results

LABELS, WIDTH, ROW, MARGIN = 200, 760, 17, 14
PARTS = ("store", "mount")  # others are no comparisons of speed
LOWEST, HIGHEST = 1 / 16, 64  # what lies beyond is shown at the edge
COLOURS = ("#222222", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")


def across(ratio):
    share = math.log(min(max(ratio, LOWEST), HIGHEST) / LOWEST) / math.log(HIGHEST / LOWEST)
    return LABELS + share * (WIDTH - LABELS - MARGIN)


def text(x, y, words, more=""):
    return f'<text x="{x:.0f}" y="{y}" {more}>{escape(words)}</text>'


def grid(top, bottom):
    ratio = LOWEST
    while ratio <= HIGHEST:
        colour = "#000" if ratio == 1 else "#ddd"
        x = across(ratio)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" stroke="{colour}"/>'
        yield text(x, bottom + 11, f"{ratio:g}" if ratio >= 1 else f"1/{1 / ratio:g}",
                   'text-anchor="middle" fill="#666"')
        ratio *= 2


def group_of(top, title, operations, colours):
    """The lines of one group, and where it ends."""
    rows = [(name, results.ratios_of(case)) for name, case in operations.items()]
    rows = [(name, ratios) for name, ratios in rows if ratios]
    if not rows:
        return [], top
    bottom = top + 20 + ROW * len(rows)
    lines = [text(MARGIN, top + 12, title, 'font-weight="bold"'), *grid(top + 18, bottom)]
    for number, (name, ratios) in enumerate(rows):
        y = top + 20 + ROW * number + ROW / 2
        lines.append(text(LABELS - 8, y + 4, name, 'text-anchor="end"'))
        lines += [f'<circle cx="{across(ratio):.1f}" cy="{y}" r="4.5" fill="{colours[side]}">'
                  f"<title>{escape(side)}: {ratio:.2f}</title></circle>"
                  for side, ratio in ratios.items()]
    return lines, bottom + 24


def legend(top, colours):
    x = LABELS
    for side, colour in colours.items():
        yield f'<circle cx="{x}" cy="{top + 8}" r="4.5" fill="{colour}"/>'
        yield text(x + 8, top + 12, side)
        x += 20 + 6 * len(side)


def svg(cases):
    cases = {names: case for names, case in cases.items() if names[0] in PARTS}
    sides = dict.fromkeys(side for case in cases.values() for side in results.ratios_of(case))
    colours = {side: COLOURS[i % len(COLOURS)] for i, side in enumerate(sides)}
    top = MARGIN + 34
    lines = [text(MARGIN, MARGIN + 6, "How many times as fast as each of these datawal is",
                  'font-size="13"'), *legend(MARGIN + 14, colours)]
    for (part, group), operations in results.groups_of(cases).items():
        more, top = group_of(top, f"{part}: {group}", operations, colours)
        lines += more
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" '
            f'viewBox="0 0 {WIDTH} {top}" font-family="sans-serif" font-size="11">')
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *lines, "</svg>\n"])
