"""The page of what was measured, docs/benchmarks.md."""

import json
from pathlib import Path

from mmattn.benchmarks import KINDS
from mmattn.benchmarks.running import kind_module
from mmattn.benchmarks.writing import render

RESULTS = 'benchmarks/results'
_INTRODUCTION = """\
# Benchmarks

Written by `mmattn zoo` from the JSON files in `{results}/PROCESSOR`; do not edit.

What a user would otherwise run is MMSegmentation's own code. `mmattn benchmark` runs both in one
process on the same inputs, in turns, after a warm-up, so that both see the same machine, and tells
time, peak memory and multiply-adds. Figures of one processor say little about another: measure
yours. [On a Xeon](../{results}/criss_cross_cpu.md) the operator was measured by the script that
became `mmattn benchmark operator`.

## How to measure

Nothing else should run meanwhile; the load of the machine before is written beside the figures.

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


def render_benchmarks(root: Path) -> str:
    """The text of docs/benchmarks.md.

    Args:
        root: The checkout; kinds without a file of results are said not to be measured.
    """
    commands = '\n'.join(f'mmattn benchmark {kind}' for kind in KINDS)
    parts = [_INTRODUCTION.format(results=RESULTS, commands=commands)]
    for kind in KINDS:
        module = kind_module(kind)
        parts.append(f'## {module.TITLE}\n\n{module.TEXT}\n')
        files = sorted((root / RESULTS).glob(f'*/{kind}.json'))
        parts += [_section(file, root) for file in files] or ['Not yet measured here.\n']
    return '\n'.join(parts)


def _section(file: Path, root: Path) -> str:
    results = json.loads(file.read_text())
    picture = file.with_suffix('.png')
    link = f'../{picture.relative_to(root)}' if picture.is_file() else None
    return f'### On {results["device"]}\n\n{render(results, link)}'
