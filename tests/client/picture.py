"""What pyte shows, as an SVG: no browser, the same bytes each time.

Every run of cells that look alike is one <text> with `textLength`, so that the
columns stand whatever font there is; wide characters take two. Times and
durations differ from run to run and are drawn as given here (`still`).
"""

import re
from html import escape
from itertools import groupby

WIDTH, HEIGHT = 8.4, 18
DARK = {"default": "#d4d4d4", "back": "#1b1d21"}
LIGHT = {"default": "#24292f", "back": "#ffffff"}
NAMED = {
    "black": "#3b3f46", "red": "#e06c75", "green": "#98c379",
    "brown": "#d7a65f", "blue": "#61afef", "magenta": "#c678dd",
    "cyan": "#56b6c2", "white": "#d4d4d4",
}


def colour(name, theme, fallback):
    if name == "default":
        return theme[fallback]
    return NAMED.get(name) or f"#{name}"


def look(cell, theme):
    front = colour(cell.fg, theme, "default")
    back = colour(cell.bg, theme, "back")
    if cell.reverse:
        front, back = back, front
    return front, back, cell.bold, cell.italics, cell.underscore


def runs(screen, row, theme):
    """(column, columns, text, look) of one line; '' is a wide one's right half."""
    cells = [screen.buffer[row][x] for x in range(screen.columns)]
    at = 0
    for style, group in groupby(cells, lambda cell: look(cell, theme)):
        group = list(group)
        yield at, len(group), "".join(cell.data for cell in group), style
        at += len(group)


def draw(screen, theme=DARK, still=()):
    width, height = screen.columns * WIDTH + 20, screen.lines * HEIGHT + 20
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" '
        f'height="{height:g}" viewBox="0 0 {width:g} {height:g}" '
        'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" '
        'font-size="14" xml:space="preserve">',
        f'<rect width="100%" height="100%" rx="6" fill="{theme["back"]}"/>',
    ]
    for row in range(screen.lines):
        top = 10 + row * HEIGHT
        for at, columns, text, style in runs(screen, row, theme):
            front, back, bold, italics, underscore = style
            left, wide = 10 + at * WIDTH, columns * WIDTH
            if back != theme["back"]:
                out.append(f'<rect x="{left:g}" y="{top}" width="{wide:g}" '
                           f'height="{HEIGHT}" fill="{back}"/>')
            for pattern, instead in still:
                text = re.sub(pattern, instead, text)
            if not text.strip():
                continue
            marks = (' font-weight="bold"' if bold else "") + (
                ' font-style="italic"' if italics else "") + (
                ' text-decoration="underline"' if underscore else "")
            out.append(f'<text x="{left:g}" y="{top + 13.5:g}" '
                       f'textLength="{wide:g}" lengthAdjust="spacingAndGlyphs" '
                       f'fill="{front}"{marks}>{escape(text)}</text>')
    x, y = screen.cursor.x, screen.cursor.y
    if not screen.cursor.hidden:
        out.append(f'<rect x="{10 + x * WIDTH:g}" y="{10 + y * HEIGHT}" '
                   f'width="{WIDTH:g}" height="{HEIGHT}" '
                   f'fill="{theme["default"]}" opacity="0.6"/>')
    return "\n".join(out + ["</svg>", ""])
