"""A report as Markdown and as one HTML file with everything in it."""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto;
       padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 0.9rem; display: block;
        overflow-x: auto; }
th, td { padding: 0.25rem 0.75rem; border-bottom: 1px solid #ddd; text-align: left;
         white-space: nowrap; }
th { border-bottom: 2px solid #888; }
img { max-width: 100%; }
figure { margin: 1.5rem 0; }
figcaption { color: #555; font-size: 0.9rem; }
"""


@dataclass(frozen=True)
class Link:
    """A cell of a table that leads to a file; ``target`` is relative to the report."""

    text: str
    target: str


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Bullets:
    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Cells are texts, links, or sequences of links."""

    header: Sequence[str]
    rows: Sequence[Sequence[str | Link | Sequence[Link]]]


@dataclass(frozen=True)
class Picture:
    """A PNG beside the report."""

    path: Path
    caption: str


Block = Heading | Paragraph | Bullets | Table | Picture


def to_markdown(blocks: Sequence[Block]) -> str:
    return '\n\n'.join(_markdown(block) for block in blocks) + '\n'


def to_html(blocks: Sequence[Block], title: str) -> str:
    """A page that needs no other file: pictures are in it."""
    body = '\n'.join(_html(block) for block in blocks)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n'
        f'<body>\n{body}\n</body>\n</html>\n'
    )


def _markdown(block: Block) -> str:
    match block:
        case Heading():
            return f'{"#" * block.level} {block.text}'
        case Paragraph():
            return block.text
        case Bullets():
            return '\n'.join(f'- {item}' for item in block.items)
        case Table():
            rows = [block.header, ['---'] * len(block.header), *block.rows]
            return '\n'.join(
                f'| {" | ".join(_markdown_cell(cell) for cell in row)} |' for row in rows
            )
        case Picture():
            return f'![{block.caption}]({block.path.name})\n\n{block.caption}'


def _markdown_cell(cell: str | Link | Sequence[Link]) -> str:
    if isinstance(cell, str):
        return ' '.join(cell.replace('|', '\\|').split())
    links = [cell] if isinstance(cell, Link) else cell
    return ' '.join(f'[{link.text}]({link.target})' for link in links)


def _html(block: Block) -> str:
    match block:
        case Heading():
            return f'<h{block.level}>{html.escape(block.text)}</h{block.level}>'
        case Paragraph():
            return f'<p>{html.escape(block.text)}</p>'
        case Bullets():
            return f'<ul>{"".join(f"<li>{html.escape(item)}</li>" for item in block.items)}</ul>'
        case Table():
            head = ''.join(f'<th>{html.escape(cell)}</th>' for cell in block.header)
            rows = ''.join(
                f'<tr>{"".join(f"<td>{_html_cell(cell)}</td>" for cell in row)}</tr>\n'
                for row in block.rows
            )
            return f'<table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table>'
        case Picture():
            data = base64.b64encode(block.path.read_bytes()).decode()
            caption = html.escape(block.caption)
            return (
                f'<figure><img src="data:image/png;base64,{data}" alt="{caption}">'
                f'<figcaption>{caption}</figcaption></figure>'
            )


def _html_cell(cell: str | Link | Sequence[Link]) -> str:
    if isinstance(cell, str):
        return html.escape(cell)
    links = [cell] if isinstance(cell, Link) else cell
    return ' '.join(
        f'<a href="{html.escape(link.target)}">{html.escape(link.text)}</a>' for link in links
    )
