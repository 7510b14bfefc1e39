"""The sentences of a report. They follow from the numbers."""

from collections import Counter
from collections.abc import Iterable

from mmattn.evaluation.scores import CONFIDENCE
from mmattn.studies.costs import VariantCost
from mmattn.studies.overview import counts
from mmattn.studies.results import Results, miou
from mmattn.studies.runs import DONE, FAILED
from mmattn.studies.statistics import POWER, Difference
from mmattn.studies.tables import DIFFERENCE, difference
from mmattn.visualization.document import Block, Bullets, Heading, Paragraph


def verdict(variant: str, baseline: str, found: Difference | None) -> str:
    """What the seeds say of a variant, in one sentence."""
    if found is None:
        return f'{variant}: not measured, since no seed is finished for both.'
    if found.low is None:
        return (
            f'{variant}: {found.mean:+.2f} points of mIoU against the baseline {baseline!r} on one '
            'seed. One seed shows no difference: how far two seeds lie apart is not known.'
        )
    numbers = f'{difference(found)} points of mIoU, {found.seeds} seeds'
    if not found.shown:
        return f'{variant}: no difference shown to the baseline {baseline!r} ({numbers}).'
    word = 'better' if found.mean > 0 else 'worse'
    return f'{variant}: {word} than the baseline {baseline!r} ({numbers}).'


def summary(results: Results) -> list[Block]:
    """The answer first: a sentence for each variant."""
    study = results.study
    compared = [name for name in study.variants if name != study.baseline]
    differences = {name: results.difference(name, miou) for name in compared}
    verdicts = [verdict(name, study.baseline, found) for name, found in differences.items()]
    blocks: list[Block] = [Paragraph(_state(results)), Bullets(verdicts)]
    intervals = sum(found is not None and found.low is not None for found in differences.values())
    if intervals > 1:
        blocks.append(Paragraph(by_chance(intervals)))
    return blocks


def by_chance(intervals: int) -> str:
    """How many of several intervals leave 0 out where there is nothing to show."""
    return (
        f'{intervals} variants are compared with one baseline. Where there is no difference at '
        f'all, {(1 - CONFIDENCE) * intervals:.2g} of {intervals} intervals of {CONFIDENCE:.0%} '
        'leave 0 out by chance: a single difference that is only just shown wants more seeds.'
    )


def listed(values: Iterable[str]) -> str:
    """`abc1234 (2 runs); def5678 (1 run)`; what all runs are of stands without their number."""
    found = Counter(value or 'not noted' for value in values)
    words = [f'{value} ({number_of(count, "run")})' for value, count in found.items()]
    return '; '.join(words if len(found) > 1 else found)


def number_of(count: int, what: str) -> str:
    """`1 run`, `2 runs`."""
    return f'{count} {what}{"s" if count > 1 else ""}'


def notes(results: Results, costs: dict[str, VariantCost], note: dict) -> list[Block]:
    """How each number came about."""
    origins = [each.origin for each in results.finished]
    return [
        Heading('How to read this'),
        Bullets(
            [
                'mIoU: of the last checkpoint on the test data of the config, in percent; mean ± '
                'standard deviation over seeds, and their number.',
                f'minus baseline ({results.study.baseline!r}): mean over the seeds that both have, '
                f"with the {CONFIDENCE:.0%} confidence interval of Student's t. It answers: would "
                'other seeds say the same? Variants of one seed share the order of the data, the '
                'augmentations, and the initial weights of the layers of the same name and shape.',
                f'over seeds: {CONFIDENCE:.0%} interval of the same difference by the bootstrap '
                "over seeds. It answers the same question, without Student's supposition that "
                'differences are normally distributed, but is too short from few seeds: of three '
                'it is the smallest to the largest difference, which leaves out 0 in a quarter of '
                'all studies that have nothing to show. So the sentences above follow Student.',
                f'over images: {CONFIDENCE:.0%} interval of the same difference by the bootstrap '
                'over test images, with these trained weights. It answers: would other images of '
                'this kind say the same? It takes images to be independent of each other. Frames '
                "of one video are alike: where the images are such, as CamVid's, it is too short.",
                f'seeds for {DIFFERENCE}: how many seeds a paired t test needs to show a '
                f'difference of {DIFFERENCE} points with a power of {POWER:.0%}, if seeds spread '
                'as these do. From few seeds this is a rough number.',
                _measuring(costs.get(results.study.baseline)),
                'activations: what a training forward pass of backbone and decode head keeps for '
                'the backward pass, for one image, counted. GPU memory: the peak in training, as '
                'logged.',
            ]
        ),
        Heading('Where it comes from'),
        Bullets(
            [
                f'options: seeds {", ".join(map(str, note["seeds"]))}'
                f'{", mixed precision" if note["amp"] else ""}',
                *(f'{key}: {listed(each[key] for each in origins)}' for key in origins[0]),
                *([f'data: {results.study.data}'] if results.study.data else []),
            ]
        ),
    ]


def _measuring(baseline: VariantCost | None) -> str:
    if baseline is None:
        return (
            'multiply-adds and latency: not measured, since the baseline was edited after the last '
            'start; `mmattn ablate --resume` writes its config anew.'
        )
    height, width = baseline.size
    return (
        f'multiply-adds and latency: of one image of {height}x{width}; latency is the median on '
        f'{baseline.machine}, timed side by side with the baseline.'
    )


def _state(results: Results) -> str:
    states = {run.name: run.state() for run in results.runs}
    failed = [name for name, state in states.items() if state['state'] == FAILED]
    missing = [name for name, state in states.items() if state['state'] not in (DONE, FAILED)]
    words = f'Runs: {counts(results.runs)}.'
    words += f' Failed: {", ".join(failed)}.' if failed else ''
    return words + (f' Not finished: {", ".join(missing)}.' if missing else '')
