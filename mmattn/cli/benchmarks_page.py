"""The page of what was measured, docs/benchmarks.md."""

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import geometric_mean

from mmattn.benchmarks import KINDS
from mmattn.benchmarks.running import kind_module
from mmattn.benchmarks.tables import markdown
from mmattn.benchmarks.writing import render

RESULTS = 'benchmarks/results'
_OPENMMLAB = ('mmseg', 'mmcv')  # sides that a user would otherwise run
_INTRODUCTION = """\
# Benchmarks

Written by `mmattn zoo` from the JSON files in `{results}/PROCESSOR`; do not edit.

What a user would otherwise run is MMSegmentation's own code. `mmattn benchmark` runs both in one
process on the same inputs, in turns, after a warm-up, so that both see the same machine, and tells
time, peak memory and multiply-adds. Figures of one processor say little about another: measure
yours. [On a Xeon](../{results}/criss_cross_cpu.md) the operator was measured by the script that
became `mmattn benchmark operator`.

## How to measure

Nothing else should run meanwhile. The load of the machine in the minute before is written beside
the figures: where it is well above 0, other work ran, and ratios, taken within a round, say more
than times.

```bash
{commands}
```

Each prints a table and writes `KIND.json` (all figures), `KIND.md` and, where a picture shows
them, `KIND.png` into `{results}/PROCESSOR` of a checkout, named after the processor or GPU, so that
results of different machines stand beside each other and a second run replaces the first;
`--out FOLDER` writes elsewhere. `mmattn zoo` then writes this page again.

- `--device cuda` measures the GPU, and takes peak memory from the statistics of torch's allocator;
  on the CPU it is what torch tells its profiler.
- `--sizes 64x64 97x97`, `--models danet ccnet` (blocks, for `attention`) and `--rounds 3` make it
  shorter.
- `--against none` measures our side alone. Without it mmseg's or mmcv's side is measured wherever
  there is one; FLA has none.
"""
_GLANCE = """\
## At a glance

Times as fast as the code of MMSegmentation, run as its tools run it, in float32, or for the
operator as mmcv's in the same type. Geometric means over the rows of the tables below, and in
parentheses the least and the most of a row.

{speed}

Peak memory beyond inputs and results, as a share of that code's; of whole models at inference that
of the process, where it was measured:

{memory}

Commits of these figures: {commits}.
"""


def render_benchmarks(root: Path) -> str:
    """The text of docs/benchmarks.md.

    Args:
        root: The checkout; kinds without a file of results are said not to be measured.
    """
    commands = '\n'.join(f'mmattn benchmark {kind}' for kind in KINDS)
    parts = [_INTRODUCTION.format(results=RESULTS, commands=commands)]
    measured = {
        kind: {file: json.loads(file.read_text()) for file in _files(root, kind)} for kind in KINDS
    }
    parts += _at_a_glance([results for files in measured.values() for results in files.values()])
    for kind, files in measured.items():
        module = kind_module(kind)
        parts.append(f'## {module.TITLE}\n\n{module.TEXT}\n')
        parts += [_section(file, results, root) for file, results in files.items()]
        parts += [] if files else ['Not yet measured here.\n']
    return '\n'.join(parts)


def _files(root: Path, kind: str) -> list[Path]:
    return sorted((root / RESULTS).glob(f'*/{kind}.json'))


def _at_a_glance(measured: list[dict]) -> list[str]:
    """Both sides of OpenMMLab's code and ours, time and memory, on every processor."""
    compared = [each for each in measured if each['reference'] in _OPENMMLAB]
    speed, memory = (_means(compared, of_case) for of_case in (_speed_ups, _memory))
    found = defaultdict(list)
    for results in compared:
        found[results['device']].append(results['versions']['mmattn'].split()[-1])
    commits = '; '.join(f'{name}: {", ".join(dict.fromkeys(of))}' for name, of in found.items())
    glance = _GLANCE.format(speed=speed, memory=memory, commits=commits)
    return [glance] if compared else []


def _speed_ups(case: dict, reference: str) -> dict[str, float]:
    return {side: median for side, (_, median, _) in case.get('speed-up', {}).items()}


def _memory(case: dict, reference: str) -> dict[str, float]:
    used = case.get('resident') or case['memory']
    base = used.get(reference, 0)
    others = {side: max(n, 1) for side, n in used.items() if side != reference}
    return {side: n / base for side, n in others.items() if base > 0}


def _means(measured: list[dict], values: Callable[[dict, str], dict[str, float]]) -> str:
    """A table of means: a row for each side of a kind, a column for each processor.

    Args:
        values: Of each side, from a case and the name of its reference.
    """
    cells: dict = defaultdict(lambda: defaultdict(list))
    for results in measured:
        title = kind_module(results['kind']).TITLE
        link = f'[{title}](#{title.lower().replace(" ", "-")})'
        for case in results['cases']:
            forms = [case['labels'][name] for name in ('pass', 'type') if name in case['labels']]
            for side, value in values(case, results['reference']).items():
                row = link, ', '.join([f'`{side}`', *forms])
                cells[row][results['device']].append(value)
    devices = list(dict.fromkeys(results['device'] for results in measured))
    rows = [[*row, *(_mean(found.get(name)) for name in devices)] for row, found in cells.items()]
    return markdown([['', 'side', *devices], *rows])


def _mean(values: list[float] | None) -> str:
    if not values:
        return 'not measured'
    between = f' ({min(values):.2f} to {max(values):.2f})' if len(values) > 1 else ''
    return f'{geometric_mean(values):.2f}{between}'


def _section(file: Path, results: dict, root: Path) -> str:
    picture = file.with_suffix('.png')
    link = f'../{picture.relative_to(root)}' if picture.is_file() else None
    rows = f'../{file.with_suffix(".md").relative_to(root)}'
    return f'### On {results["device"]}\n\n{render(results, link, rows)}'
