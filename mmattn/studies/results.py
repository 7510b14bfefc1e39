"""What the finished runs of a study have measured."""

import csv
import json
import math
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import Any

import numpy as np

from mmattn.engine.hooks.curve import scalar_files
from mmattn.engine.record import record_path
from mmattn.errors import UserError
from mmattn.evaluation.scores import mean_of_present, miou_of
from mmattn.studies.plan import Study, check_class_groups
from mmattn.studies.runs import DONE, Run, read_state
from mmattn.studies.statistics import (
    Difference,
    interval_over_images,
    interval_over_seeds,
    paired_difference,
)


@dataclass(frozen=True)
class Measured:
    """A finished run.

    Attributes:
        run: Which.
        metrics: In percent, by name.
        class_iou: In percent, by class; None for a class without pixels.
    """

    run: Run
    metrics: dict[str, float]
    class_iou: dict[str, float | None]

    @cached_property
    def areas(self) -> dict[str, np.ndarray] | None:
        """Of each image, intersection and union of each class, (2, classes); None: not counted.

        By the names of `relative_names`, since data may lie elsewhere for another run.
        """
        path = self.run.folder / 'evaluation_images.csv'
        if not path.is_file():
            return None
        index = {name: i for i, name in enumerate(self.class_iou)}
        images: dict[str, np.ndarray] = {}
        with path.open(newline='', encoding='utf-8') as file:
            for row in csv.DictReader(file):
                areas = images.setdefault(row['image'], np.zeros((2, len(index)), np.int64))
                areas[:, index[row['class']]] = int(row['intersection']), int(row['union'])
        return {name: images[path] for name, path in relative_names(images).items()}

    @property
    def origin(self) -> dict[str, str]:
        """Commit, versions and machine that made it, in words; empty where they were not noted."""
        state = self.run.state()
        return {
            'commit': state.get('commit') or '',
            'versions': ', '.join(f'{name} {each}' for name, each in self._versions().items()),
            'machine': state.get('machine') or '',
        }

    def _versions(self) -> dict[str, str]:
        """Of the packages that trained it."""
        if self.run.checkpoint is None:
            return {}
        try:
            return json.loads(record_path(self.run.checkpoint).read_bytes())['versions']
        except (OSError, ValueError, KeyError):  # gone, or damaged
            return {}

    @cached_property
    def gpu_memory(self) -> int | None:
        """Peak memory of the GPU in training, in MB, as logged; None without a GPU."""
        peaks = []
        for path in scalar_files(self.run.work_dir):
            for line in path.read_text(encoding='utf-8').splitlines():
                with suppress(ValueError):  # cut off where the process was killed
                    peaks.append(json.loads(line).get('memory'))
        return max(filter(None, peaks), default=None)


@dataclass(frozen=True)
class Results:
    """The runs of a study, finished or not, and comparisons with its baseline."""

    study: Study
    runs: list[Run]
    measured: dict[str, dict[int, Measured]]  # variant -> seed -> run
    _intervals: dict[str, tuple[float, float] | None] = field(default_factory=dict, repr=False)

    @property
    def finished(self) -> list[Measured]:
        """All finished runs."""
        return [each for seeds in self.measured.values() for each in seeds.values()]

    @property
    def classes(self) -> list[str]:
        """Of the data of all finished runs."""
        return list(dict.fromkeys(name for each in self.finished for name in each.class_iou))

    def values(self, variant: str, measure) -> dict[int, float]:
        """Seed to what ``measure`` says of the run, without those of which it says None."""
        found = {seed: measure(each) for seed, each in self.measured[variant].items()}
        return {seed: value for seed, value in found.items() if value is not None}

    def pairs(self, variant: str, measure) -> list[tuple[float, float]]:
        """What is measured of the baseline and of a variant, for each seed that both have."""
        baseline = self.values(self.study.baseline, measure)
        own = self.values(variant, measure)
        return [(baseline[seed], own[seed]) for seed in own if seed in baseline]

    def difference(self, variant: str, measure) -> Difference | None:
        """Of a variant to the baseline in some measure, over the seeds that both have."""
        return paired_difference(self.pairs(variant, measure))

    def images(self, variant: str) -> tuple[list[str], list[np.ndarray], list[np.ndarray]]:
        """The images of the common seeds, and the areas of baseline and variant for each seed.

        Returns:
            Names; and for each seed an array of (images, 2, classes). Empty where the areas were
            not counted, or not on the same images and of the same classes.
        """
        first, second = self.measured[self.study.baseline], self.measured[variant]
        pairs = [(first[seed], second[seed]) for seed in second if seed in first]
        counted = [
            (one.areas, two.areas)
            for one, two in pairs
            if one.areas and two.areas and list(one.class_iou) == list(two.class_iou)
        ]
        names = sorted(counted[0][0]) if counted else []
        if not names or len(counted) < len(pairs) or any(sorted(a) != names for a in _all(counted)):
            return [], [], []
        stacked = [
            [np.stack([areas[name] for name in names]) for areas in pair] for pair in counted
        ]
        return names, [one for one, _ in stacked], [two for _, two in stacked]

    def interval_over_seeds(self, variant: str) -> tuple[float, float] | None:
        """Of the difference in mIoU, by the bootstrap; None where there are not enough seeds."""
        return interval_over_seeds(self.pairs(variant, miou))

    def interval_over_images(self, variant: str) -> tuple[float, float] | None:
        """Of the difference in mIoU; None where the areas of images were not counted."""
        if variant not in self._intervals:
            _, baseline, own = self.images(variant)
            found = interval_over_images(baseline, own) if baseline else None
            self._intervals[variant] = found
        return self._intervals[variant]


def miou(measured: Measured) -> float | None:
    """mIoU in percent; of the counted areas where there are any, since metrics are rounded.

    None where it was not measured, or no class had pixels (NaN).
    """
    rounded = miou_of(measured.metrics)
    if rounded is None or math.isnan(rounded):
        return None
    if measured.areas:
        intersection, union = sum(measured.areas.values())
        with np.errstate(invalid='ignore'):  # 0 / 0: a class that is not there
            exact = 100 * float(mean_of_present(intersection / union))
        if abs(exact - rounded) < 0.01:  # else the metric was asked for something else
            return exact
    return rounded


def relative_names(paths: Iterable[str]) -> dict[str, str]:
    """Paths of images by what follows the folder that all lie in, the same wherever that is."""
    whole = {os.path.abspath(path): path for path in paths}
    common = os.path.commonpath(map(os.path.dirname, whole)) if whole else ''
    return {os.path.relpath(path, common): given for path, given in whole.items()}


def class_iou(name: str) -> Callable[[Measured], float | None]:
    """Measures the IoU of a class, in percent; None where the data lacks it, or has no pixels."""
    return lambda measured: measured.class_iou.get(name)


def group_iou(classes: Sequence[str]) -> Callable[[Measured], float | None]:
    """Measures the mean IoU of some classes, in percent.

    None where none of them has pixels, or the data lacks one: a mean of others is no such mean.
    """

    def measure(measured: Measured) -> float | None:
        if not measured.class_iou.keys() >= set(classes):
            return None
        values = [measured.class_iou[name] for name in classes]
        present = [value for value in values if value is not None]
        return fmean(present) if present else None

    return measure


def collect(study: Study, runs: list[Run]) -> Results:
    """Read what the finished runs have left.

    Raises:
        UserError: None is finished, or a class group names a class that the data does not have.
    """
    measured: dict[str, dict[int, Measured]] = {name: {} for name in study.variants}
    for run in runs:
        found: dict[str, Any] | None = run.metrics()
        if found is not None:
            measured[run.variant][run.seed] = Measured(run, found['metrics'], found['class_iou'])
    results = Results(study, runs, measured)
    if not results.finished:
        raise _nothing_finished(study, runs)
    check_class_groups(study, results.classes)
    return results


def _nothing_finished(study: Study, runs: list[Run]) -> UserError:
    states = {run: read_state(run.folder) for run in runs}
    others = [
        run for run, state in states.items() if state['state'] == DONE and not run.made(state)
    ]
    if not others:
        return UserError(
            f'no run of study {study.name} is finished, so there is nothing to report; '
            '`mmattn ablate` runs it'
        )
    return UserError(
        f'no run of study {study.name} is finished with the settings that it has now, but '
        f'{len(others)} with others, such as {others[0].folder}: take back what was changed in the '
        'study or its configs, or have `mmattn ablate --resume` run it anew; it moves what is '
        'there to `replaced`'
    )


def _all(pairs: Iterable[tuple[dict, dict]]) -> Iterable[dict]:
    return (areas for pair in pairs for areas in pair)
