"""On which predicted classes does the attention of a trained layer lie, by the class that asks?

    python benchmarks/attention_shares.py CONFIG CHECKPOINT LAYER IMAGE... --out shares.csv

prints and writes, as a CSV file, a row for each class that asks: over the pixels of a grid that are
predicted to be of it, the mean share of the weights on each class, and the mean area of that class
in the same images.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmattn import Segmentor
from mmattn.apis.attending import watch

STRIDE = 8  # pixels between those that ask


def shares_of_image(
    segmentor: Segmentor, layer: str, image: str
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(class, share of the weights on each class, area of each class) of the pixels that ask."""
    captured, scene = watch(segmentor, segmentor.load(image))
    count = len(scene.classes)
    areas = np.bincount(scene.pred.ravel(), minlength=count) / scene.pred.size
    height, width = scene.pred.shape
    for y in range(STRIDE // 2, height, STRIDE):
        for x in range(STRIDE // 2, width, STRIDE):
            weights = captured[layer].attention(*scene.read_pixel((x, y)))[0].mean(0)
            weights = scene.on_image(weights.numpy())
            shares = np.bincount(scene.pred.ravel(), weights.ravel(), minlength=count)
            yield scene.pred[y, x], shares / shares.sum(), areas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ('config', 'checkpoint', 'layer'):
        parser.add_argument(name)
    parser.add_argument('images', nargs='+')
    parser.add_argument('--out', type=Path, required=True, help='CSV file to write')
    args = parser.parse_args()
    segmentor = Segmentor(args.config, args.checkpoint, optimize=False)
    asked = defaultdict(list)
    for image in args.images:
        for label, shares, areas in shares_of_image(segmentor, args.layer, image):
            asked[label].append((shares, areas))
    names = segmentor.classes
    with args.out.open('w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['class that asks', 'pixels', 'class', 'weight', 'area'])
        for label in sorted(asked):
            shares, areas = np.mean(asked[label], axis=0)
            for other, (share, area) in enumerate(zip(shares, areas, strict=True)):
                row = names[label], len(asked[label]), names[other], f'{share:.3f}', f'{area:.3f}'
                writer.writerow(row)
                print('\t'.join(map(str, row)))


if __name__ == '__main__':
    main()
