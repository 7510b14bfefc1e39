"""The model that the page shows where none is named: trained on the toy set, once."""

import os
from pathlib import Path

from mmattn.apis import train
from mmattn.datasets import generate_toy_scenes
from mmattn.errors import UserError

CONFIG = Path('configs/ccnet/ccnet_r18-d8_1xb4-300it_toy-128x256.py')
WORK_DIR = Path('work_dirs/demo')  # where `make demo` trains the same model
EXAMPLES = 4


def toy_model() -> tuple[Path, Path]:
    """Config and checkpoint; where there is no checkpoint in `WORK_DIR` yet, it is trained.

    A training that was interrupted goes on. The toy set is drawn where it is missing.

    Raises:
        UserError: The work dir holds another model.
    """
    if any(WORK_DIR.glob('*.pth')) and not (WORK_DIR / CONFIG.name).is_file():
        raise UserError(
            f'{WORK_DIR} holds a model of another config than {CONFIG}: name its config and its '
            'checkpoint to see it, or remove the folder to see the toy model'
        )
    generate_toy_scenes(_data())
    best = sorted(WORK_DIR.glob('best_*.pth'))
    if (WORK_DIR / 'iter_300.pth').is_file() and best:
        return CONFIG, best[-1]
    print(f'The toy model is trained first, into {WORK_DIR}: minutes on a CPU, and only this once.')
    begun = (WORK_DIR / 'last_checkpoint').is_file()
    result = train(CONFIG, work_dir=WORK_DIR, amp=True, resume=begun or None)
    return CONFIG, result.checkpoint


def toy_examples() -> list[Path]:
    """Some validation images of the toy set."""
    return sorted(_data().glob('leftImg8bit/val/toyville/*.png'))[:EXAMPLES]


def _data() -> Path:
    return Path(os.environ.get('MMATTN_DATA') or 'data', 'toy')
