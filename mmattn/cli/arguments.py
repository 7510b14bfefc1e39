"""Arguments that several commands share."""

import argparse
import ast
import os
import re
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from mmattn.errors import UserError

_BLANK = '\x00'  # which no argument of a command can hold


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """What train and test have in common, named as in MMSegmentation's tools."""
    parser.add_argument('--work-dir', help='folder of what the run writes')
    parser.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision: bfloat16 on the CPU, float16 on GPUs; training: in channels_last',
    )
    add_cfg_options(parser)
    parser.add_argument(
        '--verbose', action='store_true', help='print the whole log, which else goes to its file'
    )
    parser.add_argument(
        '--check-data',
        choices=('sample', 'full', 'off'),
        default='sample',
        help='look at some label files first, at all, or at none',
    )
    parser.add_argument('--launcher', choices=('none', 'pytorch', 'slurm', 'mpi'), default='none')
    # torchrun sets LOCAL_RANK; the older torch.distributed.launch passes it in either spelling.
    parser.add_argument(
        '--local_rank', '--local-rank', action=_SetLocalRank, type=int, help=argparse.SUPPRESS
    )


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Overrides of the config."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_ConfigOptions,
        metavar='KEY=VALUE',
        help='override the config: model.backbone.depth=50 key="[a,b]"',
    )


def add_import_argument(parser: argparse.ArgumentParser) -> None:
    """For commands that take mechanisms by name."""
    parser.add_argument(
        '--import',
        dest='imports',
        action='append',
        default=[],
        metavar='MODULE',
        help='Python module of yours that registers mechanisms; as in PYTHONPATH=mine',
    )


class _ConfigOptions(argparse.Action):
    """KEY=VALUE as mmengine reads it, and dicts, which it does not read, as Python writes them."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        options = dict(getattr(namespace, self.dest, None) or {})
        for value in values:
            key, equals, text = value.partition('=')
            if not equals:
                parser.error(f'{option_string} takes KEY=VALUE pairs, got {value!r}')
            options[key] = parse_value(key, text)
        setattr(namespace, self.dest, options)


def parse_value(key: str, text: str, option: str = '--cfg-options') -> Any:
    """The value that an override gives: `50`, `0.1`, `None`, `name`, `[1,2]`, `[{'type': 'SE'}]`.

    Args:
        key, text: Before and after the equals sign.
        option: Of the command line, for its errors.

    Raises:
        UserError: Brackets that are not closed, or a dict that is not written as in Python.
    """
    from mmattn.compat import require_stack

    require_stack()
    from mmengine.config import DictAction  # mmengine only when there is something to parse

    if re.match(r"[\[({\s]*{\s*['\"}]", text):
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
            raise UserError(
                f'{option} {key}={text} cannot be read ({type(error).__name__}): write a dict '
                "as in Python, \"{'type': 'SE'}\", or its keys one by one, "
                f'{key}.type=SE'
            ) from error
    try:
        return _with_blanks(DictAction._parse_iterable(_without_blanks(text)))
    except (AssertionError, ValueError, RecursionError) as error:
        raise UserError(
            f'{option} {key}={text} cannot be read: every bracket that is opened must be '
            'closed, as in "[1,2]"; a dict is written as in Python, "{\'type\': \'SE\'}"'
        ) from error


def _without_blanks(text: str) -> str:
    """With a character of their own for those inside of values, which mmengine would drop."""
    text = text.strip()
    if text[:1] in '[(' or ',' in text:
        text = re.sub(r'(?<=[\[(,]) +| +(?=[\]),])', '', text)
    return text.replace(' ', _BLANK)


def _with_blanks(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(map(_with_blanks, value))
    return value.replace(_BLANK, ' ') if isinstance(value, str) else value


class _SetLocalRank(argparse.Action):
    """Keeps the rank where mmengine looks for it, and no argument of that name."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **{**kwargs, 'default': argparse.SUPPRESS})

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        os.environ.setdefault('LOCAL_RANK', str(values))


def parse_shape(text: str) -> tuple[int, ...]:
    """The sizes of an argument such as 512x1024."""
    if not re.fullmatch(r'[1-9]\d*(x[1-9]\d*){1,2}', text):
        raise argparse.ArgumentTypeError(f'{text!r} is no shape such as 256x64x64 or 512x1024')
    return tuple(map(int, text.split('x')))


def parse_call(text: str) -> tuple[str, dict[str, Any]]:
    """A mechanism and its options, as in a call: ``CrissCross(recurrence=2)``.

    Raises:
        UserError: It is not written so.
    """
    try:
        node = ast.parse(text.strip(), mode='eval').body
        if isinstance(node, ast.Name):
            return node.id, {}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args:
            options = {item.arg: ast.literal_eval(item.value) for item in node.keywords}
            if None not in options:
                return node.func.id, options
    except (SyntaxError, ValueError):
        pass
    raise UserError(
        f'{text!r} is not the name of a mechanism; expected one such as NonLocal or '
        '"CrissCross(recurrence=2)"'
    )


def import_modules(modules: Iterable[str]) -> None:
    """Import modules of the user, which register mechanisms.

    Raises:
        UserError: There is no such module.
    """
    for module in modules:
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            raise UserError(
                f'--import {module}: no such module; where it lies in a folder mine, put '
                'PYTHONPATH=mine before the command'
            ) from error
