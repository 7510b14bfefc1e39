"""Find the fastest runtime for a model on this machine; predict then uses it."""

import argparse
from typing import TYPE_CHECKING, Any

from mmattn.cli.arguments import add_cfg_options
from mmattn.errors import UserError

if TYPE_CHECKING:
    from mmattn.apis import Tuning


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', nargs='?', help='config file the checkpoint was trained with')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='checkpoint (.pth), or the name of a model of MMSegmentation',
    )
    parser.add_argument(
        'images',
        metavar='image',
        nargs='*',
        help='image of the size, and the kind, of those to be predicted; of more of them, or of a '
        'folder, the labels are compared',
    )
    parser.add_argument(
        '--seconds', type=float, default=30, help='for how long networks are timed (30)'
    )
    parser.add_argument(
        '--batch',
        dest='batch_size',
        type=int,
        default=1,
        metavar='N',
        help='how many images go through the network together (1)',
    )
    parser.add_argument('--device', help='such as cpu or cuda:1 (a GPU where there is one)')
    add_cfg_options(parser)
    parser.add_argument('--show', action='store_true', help='list what is remembered, and end')
    parser.add_argument('--forget', action='store_true', help='remove what is remembered, and end')


def run(args: argparse.Namespace) -> None:
    from mmattn.apis import tune
    from mmattn.apis.inputs import find_inputs
    from mmattn.engine import choices

    arguments = vars(args)
    show, forget = arguments.pop('show'), arguments.pop('forget')
    if forget:
        choices.forget()
        print(f'nothing is remembered any more in {choices.folder()}')
    elif show:
        print(_remembered(list(choices.remembered()), str(choices.folder())))
    elif not args.images:
        raise UserError('give CONFIG CHECKPOINT IMAGE; or --show, or --forget')
    else:
        images = [source.place for source in find_inputs(arguments.pop('images'))]
        given = arguments.pop('config'), arguments.pop('checkpoint')
        print(_table(tune(*given, *images, **arguments), len(images)))


def _table(tuning: 'Tuning', images: int) -> str:
    from mmattn.benchmarks.tables import aligned

    equal = 'equal labels' if images == 1 else f'equal labels ({images} images)'
    rows = [('', 'network', 'times as fast', equal, 'start')]
    rows += [
        (
            each.name,
            f'{each.milliseconds:.1f} ms',
            f'{each.speed_up:.2f}',
            f'{each.equal:.2%}',
            f'{each.start:.1f} s',
        )
        for each in tuning.candidates
    ]
    left_out = [f'left out: {name}: {reason}' for name, reason in tuning.left_out.items()]
    choice = f'the choice for {_where(tuning.conditions)}: {tuning.choice} ({tuning.file})'
    return '\n'.join([aligned(rows), *left_out, choice])


def _remembered(records: list[dict[str, Any]], folder: str) -> str:
    from mmattn.benchmarks.tables import aligned

    rows = [('config', 'choice', 'times as fast', 'for', 'measured with')]
    for record in records:
        versions = [f'{name} {number}' for name, number in record['versions'].items() if number]
        rows.append(
            (
                str(record.get('config', '')),
                record['choice'],
                f'{record["speed_up"]:.2f}',
                _where(record['conditions']),
                ', '.join(versions),
            )
        )
    return f'{aligned(rows)}\nin {folder}' if records else f'nothing is remembered in {folder}'


def _where(conditions: dict[str, Any]) -> str:
    inputs = 'x'.join(map(str, conditions['inputs']))
    return f'{inputs}, {conditions["device"]}, {conditions["threads"]} threads'
