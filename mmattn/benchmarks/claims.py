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
        verdict = 'holds' if round(times, 1) >= round(claim.times, 1) else 'does not hold'
        found.append(f'{case["labels"]["pass"]}: {claim.words(times)}, {verdict}')
    return (
        f'- {claim.paper}, `{claim.block}` against `{claim.baseline}` on {words(claim.size)}, '
        f'says {claim.words(claim.times)}. Here: {"; ".join(found) or "not measured"}.'
    )
