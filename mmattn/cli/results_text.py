"""The words of docs/results.md, with figures from the rows that they speak of."""

from collections.abc import Callable, Mapping
from statistics import fmean
from typing import NamedTuple

# Set of trainings -> variant -> seed -> mIoU in percent.
Scores = Mapping[str, Mapping[str, Mapping[int, float]]]

INTRODUCTION = """\
# Results

Written by `mmattn zoo` from the CSV files that each table names; do not edit.

What was measured, with the command that did it. mIoU in percent, of the last checkpoint: mean ±
standard deviation over seeds, and in parentheses their number. Differences to the baseline are
means over the seeds that both have, from three seeds on with the 95 % confidence interval of
Student's t. The time of a run is that of training and test. Commands of single trainings are
those of their first seed. What was not noted when it was measured says so.
[Studies](studies.md#the-evidence-that-is-kept) tells how rows are added.
"""

# Title and introduction of a file, by its name.
SECTIONS = {
    'heads_camvid': (
        'Heads on CamVid, from scratch, by a recipe for CPUs',
        """\
ResNet-18 (V1c, output stride 8, contract_dilation), 128 head channels, no pretrained weights.
Images resized to 480x360 times 0.5 to 1.0, crops of 180x240, flips; AdamW, learning rate 1e-3 to
1e-4 (poly 0.9), weight decay 0.01; batch 8, 1,200 iterations; mixed precision (on CPUs bfloat16)
and channels_last; cross entropy with class weights, 1 / ln(1.1 + share of the pixels) as in ENet,
where nothing else is said. Scored on the 101 val images, whole, at 240x180, against labels of
full size, one scale, after the last iteration.
""",
    ),
    'plugins_camvid': (
        'Plugins in the backbone on CamVid, a short run',
        """\
FCN on ResNet-18, the recipe above, class weights included, with 400 iterations instead of 1,200;
nothing but the plugin differs between the rows. Plugins stand after the last convolution of each
block in stages 2 to 4, BAM between the stages.
""",
    ),
    'precision_camvid': (
        'Mixed precision against MMSegmentation in float32',
        """\
DANet by the recipe above, with 400 iterations: our head and auxiliary head with `--amp`, and
MMSegmentation's in float32. Both start from the same weights for each seed and see the same crops
in the same order.
""",
    ),
    'toy_context': (
        'The toy scenes, seen by a net that sees little of them',
        """\
The scenes of the demo at twice their size, where only the surroundings tell a car from a boat and
a lamp from a tree: 40 for training, 16 for the test. A net of one stage (ResNet-18 V1c with 16
channels, output stride 4, no pretrained weights) sees 23 pixels to each side, and a hull is 27 to
115 pixels wide. The mechanism stands in a head of 1x1 convolutions, so that nothing else looks
further. 300 iterations of batch 4; in the loss the four classes weigh three times as much as the
others.

The set-up was chosen on seed 0 and these test scenes, after two others: at the scenes' own size the
net alone reached 87, which left little room, and with a fifth of this learning rate and equal
weights no net learnt the four classes. So the differences are those of a task made for context.

The last batch norm of SIAU has one value for each image, and what it learns of batches of four does
not hold for single ones. `siau_layer_norm`, where no norm goes over images, does not collapse.

The runs stood behind other work, so that their times say nothing of the mechanisms. Seeds differ by
ten points, so that the differences within seeds tell more than the mIoU.

Most is gained by what weighs rows and columns (coordinate, criss-cross) and by what sees far in
convolutions (GAM's of 7x7, the hourglass of residual attention). Attention over all pairs of pixels
adds a few points in these 300 iterations; of gates that weigh channels and do nothing else none is
shown to help.
""",
    ),
    'demo': ('The demo', ''),
}


class Trainings(NamedTuple):
    """Trainings that were started one by one and not by a study; no row joins them.

    Attributes:
        title: Of their table.
        baseline: Variant that the others are compared with, if any.
        words: What their figures say.
    """

    title: str
    baseline: str | None
    words: Callable[[Scores], str]


def _heads(scores: Scores) -> str:
    values = [fmean(seeds.values()) for seeds in scores['heads_by_hand'].values()]
    return f"""\
One run each: differences below about a point say nothing. The mean of the {len(values)} is
{fmean(values):.2f}. Here `sign` reaches 24 to 31 and `bicyclist` 54 to 59; `pole`, a pixel wide
at this size, stays below 1 in every run of this table, and with these heads in the next one.

The weights were chosen by these val images (there is no other split), between none, ENet's and
the ones used: a choice among three, worth remembering when a result is compared with one that had
none. A narrower range of image scales (0.5 to 0.75) was tried for 400 iterations and dropped.

Other work ran beside the training, which had priority. CCNet ran on the PyTorch implementation of
its attention.
"""


def _unweighted(scores: Scores) -> str:
    own, theirs = (_score(scores, 'heads_by_hand_unweighted', n) for n in ('danet', 'mmseg-danet'))
    return f"""\
One run each. MMSegmentation's own DAHead reached {theirs:.2f}, level with our DANet ({own:.2f}),
which computes the same. With our heads `sign` stays below 20 here, and `bicyclist` at 28 (ANL) to
45 (FLA).

These runs used a tree before the first commit: model, data and schedule of these configs, without
the progress and curve hooks that they have now.
"""


def _enet(scores: Scores) -> str:
    lost = {
        name: _score(scores, 'heads_by_hand', name) - _score(scores, 'heads_by_hand_enet', name)
        for name in scores['heads_by_hand_enet']
    }
    words = ' and '.join(f'{points:.2f} ({name})' for name, points in lost.items())
    return f"""\
ENet's own constant, 1.02 in the place of 1.1, weighs rare classes still more. Against the weights
used, that costs {words} points, since buildings (68 to 70 instead of 77 to 79) pay for it.
"""


def _plugins(scores: Scores) -> str:
    found = scores['plugins_by_hand']
    differences = {
        name: [seeds[seed] - found['none'][seed] for seed in seeds]
        for name, seeds in found.items()
        if name != 'none'
    }
    above = _names(name for name, d in differences.items() if min(d) > 0)
    below = _names(name for name, d in differences.items() if max(d) < 0)
    mixed = _names(name for name, d in differences.items() if min(d) <= 0 <= max(d))
    worst = min(differences, key=lambda name: fmean(differences[name]))
    apart = [max(seeds.values()) - min(seeds.values()) for seeds in found.values()]
    return f"""\
With both seeds above the row without a plugin: {above}. With both seeds below: {below}. One of
each: {mixed}. But two seeds of one config lie {min(apart):.1f} to {max(apart):.1f} points apart,
so none of this is firm, and a seed does not give these rows the same start either: a plugin's
weights draw random numbers too. Plainly: in nine passes over 367 images from random weights,
these two seeds show of no plugin that it helps, and `{worst}` may cost more than it brings. What
plugins bring to pretrained weights and long schedules is another question, which `mmattn ablate
plugins` asks (ResNet-50, 20,000 iterations). In all of these runs `pole` and `bicyclist` have an
IoU of 0 and `sign` is below 7: 400 iterations are few.
"""


def _demo(scores: Scores) -> str:
    return """\
`make demo`, CCNet with ResNet-18 on the toy scenes, 300 iterations, on an idle machine. The time
is that of training, evaluation and pictures; the set-up before it took 49 s from cached packages.
The score is that of the best checkpoint, not of the last one.
"""


BY_HAND = {
    'heads_by_hand': Trainings('Six heads, one run each', None, _heads),
    'heads_by_hand_unweighted': Trainings('Without class weights', None, _unweighted),
    'heads_by_hand_enet': Trainings("With ENet's class weights", None, _enet),
    'plugins_by_hand': Trainings('Two seeds, each row from its own start', 'none', _plugins),
    'demo': Trainings('', None, _demo),
}


def _score(scores: Scores, trainings: str, variant: str) -> float:
    return fmean(scores[trainings][variant].values())


def _names(names) -> str:
    return ', '.join(f'`{name}`' for name in names) or 'none'
