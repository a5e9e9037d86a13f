"""A report as Markdown, for where a page cannot be shown (`markdown.py
report.json > report.md`): what page.py shows, with links to the pictures that
pictures.py has written beside it.
"""

import json
import re
import sys

from content import Commands, Paragraph, Pictures, Table, document, subtitle
from figures import Report


def markdown(report):
    """The text of a report.json that has been loaded."""
    report = Report(report)
    title, sections = document(report)
    parts = [f"# {plain(title)}", plain(subtitle(report))]
    for section in sections:
        parts.append(f"## {plain(section.title)}")
        parts += [shown(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def plain(text):
    """Text in which nothing means anything to Markdown, on one line."""
    return re.sub(r"([\\`*<>&|\[\]#~])", r"\\\1", " ".join(text.split()))


def shown(block):
    if isinstance(block, Paragraph):
        return plain(block.text)
    if isinstance(block, Table):
        return table(block)
    if isinstance(block, Pictures):
        links = (f"![{plain(p.title)}]({p.name}.svg)" for p in block.plans)
        return "\n\n".join(links)
    assert isinstance(block, Commands)
    return commands(block)


def table(table):
    rules = [
        ":--" if n == 0 or n in table.words else "--:"
        for n in range(len(table.heads))
    ]
    rows = [[plain(head) for head in table.heads], rules]
    rows += [[cell_text(cell) for cell in row] for row in table.rows]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    notes = [f"- {plain(note)}" for note in table.notes]
    parts = [f"**{plain(table.caption)}**", plain(table.about)]
    parts += ["\n".join(lines), "\n".join(notes)]
    return "\n\n".join(filter(None, parts))


def cell_text(cell):
    text = plain(cell.text)
    if cell.mark:
        text = f"**{text}**"
    return f"{text} ({plain(cell.beside)})" if cell.beside else text


def commands(commands):
    """Indented, so that nothing in them means anything."""
    lines = []
    for name, command in commands.pairs:
        lines += [f"    # {' '.join(name.split())}"] * bool(name)
        lines.append(f"    {' '.join(command.split())}")
    return "\n\n".join([f"### {plain(commands.title)}", "\n".join(lines)])


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: markdown.py REPORT.json")
    with open(sys.argv[1], encoding="utf-8") as file:
        sys.stdout.write(markdown(json.load(file)))


if __name__ == "__main__":
    main()
