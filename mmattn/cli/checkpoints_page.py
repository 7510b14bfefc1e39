"""The table of published weights that our configs load, docs/checkpoints.md."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import mmseg
from mmengine.fileio import load

# Our folder of configs, and MMSegmentation's of the same method.
METHODS = {'anl': 'ann', 'ccnet': 'ccnet', 'danet': 'danet', 'gcnet': 'gcnet', 'ocrnet': 'ocrnet'}
MODEL_ZOO = Path(mmseg.__file__).parent / '.mim' / 'configs'
_HOST = 'https://download.openmmlab.com'
_INTRODUCTION = """# Published weights that our configs load

MMSegmentation's model zoo has weights for five of our methods, and our heads give the numbers of
its own. For each of its models with the backbone, data and crop of a config of ours, this table has
the mIoU that MMSegmentation publishes (single scale), and the file. `mmattn test` takes it as it
is:

```console
$ mmattn test configs/{config} {file}
```

The length of the training (20k, 40k, 80k, 160k) does not matter for that. `mmattn zoo` writes this
page from the files of the installed MMSegmentation.

"""
_COLUMNS = ('config', 'model of MMSegmentation', 'mIoU', 'file')


def render_checkpoints(root: Path) -> str:
    """The text of docs/checkpoints.md.

    Args:
        root: The checkout, whose configs are listed.
    """
    rows = [_COLUMNS, ('---',) * len(_COLUMNS)]
    published = list(published_weights(root))
    for config, name, miou, url in published:
        rows.append((f'`{config}`', f'`{name}`', f'{miou:.2f}', f'[{Path(url).name}]({url})'))
    config, *_, url = published[0]
    introduction = _INTRODUCTION.format(config=config, file=Path(url).name)
    return introduction + ''.join(f'| {" | ".join(row)} |\n' for row in rows)


def published_weights(root: Path) -> Iterator[tuple[str, str, float, str]]:
    """(config of ours, name of MMSegmentation's model, its mIoU, address of its weights)."""
    for method, folder in METHODS.items():
        ours = {_task(file.stem): file for file in sorted((root / 'configs' / method).glob('*.py'))}
        metafile = load(MODEL_ZOO / folder / 'metafile.yaml')
        for model in metafile['Models']:
            config = ours.get(_task(model['Name']))
            if config is not None:
                miou = model['Results']['Metrics']['mIoU']
                # The two distributions of MMSegmentation name two hosts of the same files.
                url = _HOST + urlparse(model['Weights']).path
                yield f'{method}/{config.name}', model['Name'], miou, url


def _task(name: str) -> tuple[str, ...]:
    """Backbone, data and crop in the name of a config; the method and the schedule left out."""
    _, backbone, _, *data = name.split('_')
    return backbone, re.sub(r'^\d+k_', '', '_'.join(data))
