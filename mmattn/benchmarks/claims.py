"""What papers say of the costs of their blocks, held against what was measured."""

from dataclasses import dataclass

from mmattn.benchmarks import Size, words


@dataclass(frozen=True)
class Claim:
    """A paper's block costs so many times less than another on maps of one size.

    Attributes:
        paper: Its method.
        block, baseline: Names of the two blocks.
        size: Of the maps.
        cost: ``milliseconds``, ``memory`` or ``macs``.
        times: How many times less.
    """

    paper: str
    block: str
    baseline: str
    size: Size
    cost: str
    times: float

    def holds(self, times: float) -> bool:
        """Whether a ratio is what the paper says, to the digits in which both are told."""
        if self.cost == 'macs':
            return round(1 - 1 / times, 2) >= round(1 - 1 / self.times, 2)
        return round(times, 1) >= self.times

    def words(self, times: float) -> str:
        """A ratio, as papers speak of it."""
        if self.cost == 'macs':
            return f'{1 - 1 / times:.0%} fewer multiply-adds'
        return f'{times:.1f} times ' + ('less memory' if self.cost == 'memory' else 'as fast')


def check_claim(claim: Claim, results: dict) -> str:
    """A line: what the paper says, and what was measured in each pass, if it was."""
    found = []
    for case in results['cases']:
        costs = case[claim.cost]
        if case['labels']['map'] != words(claim.size) or not {claim.block, claim.baseline} <= {
            *costs
        }:
            continue
        own, base = costs[claim.block], costs[claim.baseline]
        times = base[1] / own[1] if claim.cost == 'milliseconds' else base / own
        verdict = 'holds' if claim.holds(times) else 'does not hold'
        found.append(f'{case["labels"]["pass"]}: {claim.words(times)}, {verdict}')
    return (
        f'- {claim.paper}, `{claim.block}` against `{claim.baseline}` on {words(claim.size)}, '
        f'says {claim.words(claim.times)}. Here: {"; ".join(found) or "not measured"}.'
    )
