"""What a benchmark writes: JSON with all figures, Markdown with their table, a picture."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from mmattn.benchmarks.drawing import speed_up_figure
from mmattn.benchmarks.running import kind_module
from mmattn.benchmarks.shares import share_paragraphs
from mmattn.benchmarks.tables import markdown
from mmattn.cost import readable, two_digits
from mmattn.files import write_atomically
from mmattn.visualization.figures import png

_MOST_ROWS = 60  # of a table that is read beside others
_SPREADS = 'medians, with quartiles in parentheses'


def slug(device: str) -> str:
    """The name of a device as that of a folder: 'AMD EPYC (AVX2), 2 cores' -> 'amd-epyc-avx2'."""
    model = re.sub(r'\((r|tm)\)|, \d+ cores$|@ *[\d.]+ghz', ' ', device.lower())
    return '-'.join(re.findall(r'[a-z0-9]+', model))


def write(results: dict, folder: Path) -> list[Path]:
    """Replace KIND.json, KIND.md and KIND.png in a folder, each in one step. A picture of earlier
    results goes where these have none.

    Returns:
        The files.
    """
    kind = results['kind']
    module = kind_module(kind)
    figure = getattr(module, 'draw', speed_up_figure)(results)
    contents = {'json': json.dumps(results, indent=1).encode() + b'\n'}
    if figure is not None:
        contents['png'] = png(figure)
    picture = f'{kind}.png' if figure is not None else None
    page = f'# {module.TITLE}, on {results["device"]}\n\n{module.TEXT}\n\n'
    contents['md'] = (page + render(results, picture)).encode()
    files = []
    for suffix, content in contents.items():
        files.append(folder / f'{kind}.{suffix}')
        write_atomically(files[-1], content)
    if figure is None:
        (folder / f'{kind}.png').unlink(missing_ok=True)
    return files


def render(results: dict, picture: str | None, whole: str | None = None) -> str:
    """The figures in Markdown: how they were measured, what follows from them, the table.

    Args:
        results: Of `running.measure`.
        picture: The picture's file, as the page links to it.
        whole: A page with the whole table, to which a long one becomes a link.
    """
    module = kind_module(results['kind'])
    versions = ', '.join(f'{name} {value}' for name, value in results['versions'].items() if value)
    compared = any('speed-up' in case for case in results['cases'])
    paragraphs = [
        f'{results["device"]}, threads: {results["threads"]}, {versions}; command: '
        f'`{results["command"]}`. Each side was timed at least {results["rounds"]} times, in turns '
        f'in one process; times are {_SPREADS}. The average load of the machine in the minute '
        f'before was {results["load"]:.1f} processes.',
    ]
    if compared:
        paragraphs.append(
            f'*Times as fast* is the ratio to `{results["reference"]}` within a round. Extra '
            'memory is the peak beyond inputs and results.'
        )
    if picture:
        paragraphs.append(f'![{module.TITLE}]({picture})')
    paragraphs += getattr(module, 'findings', lambda results: [])(results)
    rows = table(results)
    long = whole and len(rows) - 1 > _MOST_ROWS
    paragraphs.append(f'[All {len(rows) - 1} rows]({whole}).' if long else markdown(rows))
    return '\n\n'.join(paragraphs + share_paragraphs(results)) + '\n'


def table(results: dict) -> list[list[str]]:
    """The heading and a row for every side of every case but the reference, where that is not all.

    Where only the reference was measured in a case, the row is its own.
    """
    rows = [_cells(results, case, side) for case in results['cases'] for side in _sides(case)]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return [columns, *([row.get(column, '') for column in columns] for row in rows)]


def _sides(case: dict) -> list[str]:
    return list(case.get('speed-up') or case['milliseconds'])


def _cells(results: dict, case: dict, side: str) -> dict[str, str]:
    """The cells of a row by column."""
    reference = results['reference']
    times, memory, macs = (case.get(key, {}) for key in ('milliseconds', 'memory', 'macs'))
    cells = {**case['labels'], kind_module(results['kind']).SIDE: side, 'ms': _spread(times[side])}
    compared = side in case.get('speed-up', {})
    if compared:
        cells[f'{reference}: ms'] = _spread(times[reference])
        cells['times as fast'] = _spread(case['speed-up'][side])
    if 'images' in case:
        cells['images/s'] = _digits(1e3 * case['images'] / times[side][1])
    for column, kind, used in (
        ('extra MiB', '', memory),
        ('resident MiB', 'resident, ', case.get('resident', {})),
    ):
        if side in used:
            cells[column] = _digits(used[side] / 2**20)
            if compared and used.get(reference, 0) > 0:
                cells[f"{kind}of {reference}'s"] = f'{used[side] / used[reference]:.2f}'
    if side in macs:
        cells['multiply-adds'] = readable(macs[side])
        cells['GFLOP/s'] = f'{2e-6 * macs[side] / times[side][1]:.0f}'
    return cells | case.get('facts', {}).get(side, {})


def _spread(values: Sequence[float]) -> str:
    low, middle, high = map(_digits, values)
    return f'{middle} ({low} to {high})'


def _digits(value: float) -> str:
    return f'{value:.2f}' if value < 0.95 else two_digits(value)
