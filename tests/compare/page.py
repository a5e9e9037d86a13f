"""A report as a page: one HTML file that refers to nothing outside of itself
and needs no scripts (`page.py report.json > report.html`). What it says is in
content.py; here is only what that looks like. All text from the report is
escaped.
"""

import json
import sys
from html import escape
from itertools import count
from pathlib import Path

from content import Commands, Paragraph, Pictures, Table, document, subtitle
from figures import Report
from pictures import COLOURS, draw, slug, style

HERE = Path(__file__).resolve().parent
CSS = HERE / "page.css"


def html(report, pictures):
    """The page of a report.json that has been loaded, and of which these
    pictures have been drawn."""
    return Page(Report(report), pictures).whole()


class Page:
    """A page in the making."""

    def __init__(self, report, pictures):
        self.report = report
        self.pictures = pictures
        self.numbers = count(1)  # of tables, whose captions have names

    def whole(self):
        title, sections = document(self.report)
        body = "\n".join(self.section(section) for section in sections)
        links = "\n".join(
            f'<li><a href="#{slug(s.title)}">{escape(s.title)}</a></li>'
            for s in sections
        )
        return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
{COLOURS.read_text()}
{CSS.read_text()}
</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p class="beside">{escape(subtitle(self.report))}</p>
<nav aria-label="Sections"><ul>
{links}
</ul></nav>
</header>
<main>
{body}
</main>
</body>
</html>
"""

    def section(self, section):
        blocks = "\n".join(self.block(block) for block in section.blocks)
        name = slug(section.title)
        return (
            f'<section id="{name}" aria-labelledby="{name}-title">\n'
            f'<h2 id="{name}-title">{escape(section.title)}</h2>\n'
            f"{blocks}\n</section>"
        )

    def block(self, block):
        shown = {
            Paragraph: self.paragraph,
            Table: self.table,
            Pictures: self.figures,
            Commands: self.commands,
        }
        return shown[type(block)](block)

    def paragraph(self, paragraph):
        name = ' class="lead"' if paragraph.lead else ""
        return f"<p{name}>{escape(paragraph.text)}</p>"

    # --- tables

    def table(self, table):
        """It scrolls within itself, by keyboard as well."""
        name = f"table-{next(self.numbers)}"
        heads = "".join(
            f'<th scope="col"{words(table, n)}>{escape(head)}</th>'
            for n, head in enumerate(table.heads)
        )
        rows = "\n".join(self.row(table, row) for row in table.rows)
        notes = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
        notes = f'\n<ul class="notes">{notes}</ul>' if notes else ""
        about = f"<small>{escape(table.about)}</small>" if table.about else ""
        return f"""<div class="table" role="region" tabindex="0" \
aria-labelledby="{name}">
<table>
<caption id="{name}"><span>{escape(table.caption)}{about}</span></caption>
<thead><tr>{heads}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>{notes}"""

    def row(self, table, row):
        first, *others = row
        cells = "".join(
            f"<td{words(table, n)}>{self.cell(cell)}</td>"
            for n, cell in enumerate(others, 1)
        )
        kind = ' class="server"' if first.server else ""
        first = self.cell(first)
        return f'<tr><th scope="row"{kind}>{first}</th>{cells}</tr>'

    def cell(self, cell):
        text = escape(cell.text)
        if cell.server:
            colour = style(self.report.servers[cell.server]).colour
            text = f'<i style="background: var(--{colour})"></i>{text}'
        if cell.mark:
            text = f'<strong class="{cell.mark}">{text}</strong>'
        if cell.beside:
            text += f'<span class="beside">{escape(cell.beside)}</span>'
        return text

    # --- pictures

    def figures(self, group):
        shown = "\n".join(self.figure(plan.name) for plan in group.plans)
        return f'<div class="pictures">\n{shown}\n</div>'

    def figure(self, name):
        picture = self.pictures[name]
        caption = f"<figcaption>{escape(picture.title)}</figcaption>"
        return f"<figure>\n{caption}\n{picture.svg}\n</figure>"

    # --- commands

    def commands(self, commands):
        pairs = "\n".join(
            f"<dt>{escape(name)}</dt><dd><code>{escape(command)}</code></dd>"
            for name, command in commands.pairs
        )
        title = escape(commands.title)
        return (
            f"<details>\n<summary>{title}</summary>\n"
            f"<dl>\n{pairs}\n</dl>\n</details>"
        )


def words(table, column):
    """Columns of words are set otherwise than figures."""
    return ' class="words"' if column == 0 or column in table.words else ""


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: page.py REPORT.json")
    with open(sys.argv[1], encoding="utf-8") as file:
        report = json.load(file)
    sys.stdout.write(html(report, draw(Report(report))))


if __name__ == "__main__":
    main()
