"""The table of published weights that our configs load, docs/checkpoints.md."""

import re
from collections.abc import Iterator
from pathlib import Path

from mmengine.fileio import load

from mmattn.engine.published import MODEL_ZOO, address_of

# Our folder of configs, and MMSegmentation's of the same method.
METHODS = {'anl': 'ann', 'ccnet': 'ccnet', 'danet': 'danet', 'gcnet': 'gcnet', 'ocrnet': 'ocrnet'}
_INTRODUCTION = """# Published weights that our configs load

MMSegmentation's model zoo has weights for five of our methods, and our heads give the numbers of
its own. For each of its models with the backbone, data and crop of a config of ours, this table has
the mIoU that MMSegmentation publishes (single scale), and the file. `mmattn test` takes the name of
the model and downloads the file, once, into the cache of torch hub (`TORCH_HOME`), held against the
digits in its name; or it takes the file:

```console
$ mmattn test configs/{config} {name}
$ mmattn test configs/{config} {file}
```

So do `mmattn predict`, `mmattn attention` and `Segmentor`. The length of the training (20k, 40k,
80k, 160k) does not matter. `mmattn zoo` writes this page from the files of the installed
MMSegmentation.

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
    config, name, _, url = published[0]
    introduction = _INTRODUCTION.format(config=config, name=name, file=Path(url).name)
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
                yield f'{method}/{config.name}', model['Name'], miou, address_of(model)


def _task(name: str) -> tuple[str, ...]:
    """Backbone, data and crop in the name of a config; the method and the schedule left out."""
    _, backbone, _, *data = name.split('_')
    return backbone, re.sub(r'^\d+k_', '', '_'.join(data))
