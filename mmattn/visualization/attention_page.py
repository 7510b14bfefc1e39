"""All pictures of attention at once: one HTML file that holds them, or one sheet."""

import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape

from PIL import Image

from mmattn.visualization.attention_drawing import Panel

_STYLE = """
body { font: 15px/1.5 sans-serif; margin: 2em auto; max-width: 110em; padding: 0 1em; color: #222 }
h2 { margin: 1.6em 0 .4em; font-family: monospace; border-top: 1px solid #ddd; padding-top: .8em }
figure { display: inline-block; margin: 0 1em 1em 0; vertical-align: top }
img { max-width: 100%; height: auto }
.row { display: flex; flex-wrap: wrap }
"""


def attention_page(title: str, columns: Mapping[str, Sequence[tuple[Panel, bytes]]]) -> str:
    """Pictures by layer; those of several models of the same layers stand side by side.

    Args:
        title: Of the page.
        columns: For each model the same panels in the same order, and their PNGs.
    """
    body, layer = [], None
    models = list(columns)
    for rows in zip(*columns.values(), strict=True):
        name = rows[0][0].layer
        if name != layer:
            layer = name
            body.append(f'<h2>{escape(layer)}</h2>' if layer else '')
        body.append('<div class="row">' if len(models) > 1 else '')
        for model, (panel, png) in zip(models, rows, strict=True):
            data = b64encode(png).decode()
            caption = f'<figcaption>{escape(model)}</figcaption>' if len(models) > 1 else ''
            body.append(
                f'<figure>{caption}<img src="data:image/png;base64,{data}" '
                f'alt="{escape(panel.title)}"></figure>'
            )
        body.append('</div>' if len(models) > 1 else '')
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}'
        f'</title><style>{_STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n'
        + '\n'.join(filter(None, body))
        + '\n</body></html>\n'
    )


def attention_sheet(pictures: Sequence[bytes], columns: int = 3) -> bytes:
    """PNGs in rows on one sheet, a PNG again."""
    images = [Image.open(io.BytesIO(png)) for png in pictures]
    rows = [images[i : i + columns] for i in range(0, len(images), columns)]
    width = max(sum(image.width for image in row) for row in rows)
    heights = [max(image.height for image in row) for row in rows]
    sheet = Image.new('RGB', (width, sum(heights)), (255, 255, 255))
    for number, row in enumerate(rows):
        left = 0
        for image in row:
            sheet.paste(image, (left, sum(heights[:number])))
            left += image.width
    data = io.BytesIO()
    sheet.save(data, 'PNG')
    return data.getvalue()
