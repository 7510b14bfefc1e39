"""Serve a web page that segments images and shows what the model attends to."""

import argparse

from mmattn.errors import UserError

PORT = 7860  # as other pages made with Gradio


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'config',
        nargs='?',
        help='config file the checkpoint was trained with (default: the model of `make demo`, '
        'trained first where it is not there)',
    )
    parser.add_argument('checkpoint', nargs='?', help='checkpoint file (.pth)')
    parser.add_argument(
        '--compare',
        nargs=2,
        metavar=('CONFIG', 'CHECKPOINT'),
        help='a second model, shown beside the first',
    )
    parser.add_argument(
        '--host',
        default='127.0.0.1',
        help='address that the page is served at; 0.0.0.0 serves it to the network, to everybody '
        'there (127.0.0.1, this machine alone)',
    )
    parser.add_argument('--port', type=int, default=PORT, help=f'0 takes a free one ({PORT})')
    parser.add_argument('--device', help='such as cpu or cuda:1 (a GPU where there is one)')
    parser.add_argument(
        '--max-megabytes', type=float, default=20, help='of the file of an image (20)'
    )
    parser.add_argument(
        '--max-megapixels', type=float, default=16, help='of an image, in millions (16)'
    )


def run(args: argparse.Namespace) -> None:
    if args.config and not args.checkpoint:
        raise UserError(
            f'config {args.config} has no checkpoint: name both, or neither for the toy model'
        )
    for name in ('max_megabytes', 'max_megapixels'):
        if not 0 < getattr(args, name) <= 1000:
            raise UserError(
                f'--{name.replace("_", "-")} is {getattr(args, name):g}: it must be above 0 and at '
                'most 1000'
            )
    from mmattn.web.start import bound_socket, require_gradio

    require_gradio()
    listening = bound_socket(args.host, args.port)
    from mmattn.web.limits import Limits
    from mmattn.web.models import ShownModel
    from mmattn.web.page import Page
    from mmattn.web.server import serve
    from mmattn.web.toy import toy_examples, toy_model

    first = (args.config, args.checkpoint) if args.config else toy_model()
    pairs = [first, *([args.compare] if args.compare else [])]
    models = [ShownModel(*pair, device=args.device) for pair in pairs]
    examples = () if args.config else toy_examples()
    limits = Limits(args.max_megabytes, args.max_megapixels)
    serve(Page(models, limits, examples), listening, args.host)
