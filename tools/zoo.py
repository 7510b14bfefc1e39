"""Write docs/zoo.md, the table of all mechanisms: python tools/zoo.py."""

import argparse
from pathlib import Path

from mmattn import cli

REPO = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description='Write docs/zoo.md, the table of all mechanisms.')
    parser.add_argument(
        '--measure', action='store_true', help='time the mechanisms first, two minutes of this CPU'
    )
    args = parser.parse_args()

    from mmattn.apis.zoo import measure_latency, render_zoo

    if args.measure:
        measure_latency(REPO)
    target = REPO / 'docs' / 'zoo.md'
    target.write_text(render_zoo(REPO))
    print(target)


if __name__ == '__main__':
    cli.run(main)
