"""The probes, and what the papers let one expect of each mechanism: written before the first run.

`carry` and `fail` name mechanisms as the command does, by class and options. A hypothesis is what a
paper claims of its mechanism or what the formula of the mechanism excludes; mechanisms named in
neither have none. Hypotheses are not edited after a run: a page that shows where they were wrong is
worth more than one that was always right. (A trial of other code on *match* and *row* had been seen
when these were written. Afterwards the tasks were made learnable in 300 steps, by two pairs of
query and cue where there had been four, by the number and size of the marks and by the learning
rate, until one mechanism or two learnt them.)
"""

from typing import NamedTuple

from mmattn.probes import tasks
from mmattn.probes.scenes import Draw

NO_MECHANISM = 'none'

_CROSS_1, _CROSS_2 = 'CrissCross', 'CrissCross(recurrence=2)'
_RELATIVE = 'MultiHeadSelfAttention(relative_position=12)'
_FULL_GRID = 'RGA(grid=(24, 24))'
# Mechanisms in other forms than their defaults, which the papers have claims about.
VARIANTS = (_CROSS_2, _RELATIVE, _FULL_GRID)

_CHANNEL_GATES = ('SE', 'ECA', 'CSE', 'FCA', 'GatherExcite', 'SPA')
_GLOBAL_POOLING = (*_CHANNEL_GATES, 'GlobalContext', 'CBAM', 'BAM', 'SCSE', 'MSCAM', 'AFF', 'IAFF')
_PAIRS = ('NonLocal', 'PositionAttention', 'MultiHeadSelfAttention')
_ALL_PIXELS = (*_PAIRS, 'APNB', 'DoubleAttention', 'InterlacedSparse', 'ObjectContext')
_LOCAL = (NO_MECHANISM, 'SSE')


class Probe(NamedTuple):
    """A task that a mechanism can be put to.

    Attributes:
        name: What commands call it.
        draw: The drawing of a scene.
        classes: How many classes a scene has.
        question: What decides the class of a pixel.
        hypothesis: What the papers let one expect, in words.
        carry: Mechanisms that should solve it.
        fail: Mechanisms that should stay at chance.
    """

    name: str
    draw: Draw
    classes: int
    question: str
    hypothesis: str
    carry: tuple[str, ...]
    fail: tuple[str, ...]

    def expects(self, mechanism: str) -> bool | None:
        """True: should solve it, False: should not, None: no hypothesis."""
        return True if mechanism in self.carry else False if mechanism in self.fail else None


_ROWS = [
    Probe(
        'statistic',
        tasks.draw_statistic,
        1,
        'Which sign most of twenty dots have, all far from the rows and columns of the query.',
        'One number over the whole image decides. All that pool it have it, whatever they then do '
        'with it (squeeze-and-excitation and its descendants), and so have means over pairs of '
        'pixels and two criss-cross steps. One step along rows and columns has not, and gates '
        'computed from a pixel and its neighbours have not. GAM calls itself global.',
        carry=(*_GLOBAL_POOLING, *_ALL_PIXELS, _CROSS_2, 'PolarizedSelfAttention', 'SKConv')
        + ('GAM',),
        fail=(*_LOCAL, _CROSS_1, 'CoordinateAttention'),
    ),
    Probe(
        'row',
        tasks.draw_row,
        2,
        'The class of the one cue in the row or column of the query; another cue lies elsewhere.',
        'Made for mechanisms that look along rows and columns: criss-cross, coordinate attention '
        '(a mean for each row and column), fully attentional blocks. What treats all pixels alike '
        'wherever they lie cannot tell which cue is in the row.',
        carry=(_CROSS_1, 'CoordinateAttention', 'FullyAttentional', _RELATIVE),
        fail=(*_LOCAL, *_CHANNEL_GATES, *_PAIRS, 'GlobalContext', 'ChannelAttention'),
    ),
    Probe(
        'match',
        tasks.draw_match,
        2,
        'The class of the cue with the key of the query, one of four, anywhere; another cue '
        'bears another key.',
        'The case for attention between pixels (non-local, position attention, regions, sampled or '
        'split maps), and by its paper for two criss-cross steps and for fully attentional '
        'blocks. A context that is the same for all queries (squeeze-and-excitation, global '
        'context) has no answer for each.',
        carry=(*_ALL_PIXELS, _CROSS_2, 'FullyAttentional'),
        fail=(*_LOCAL, 'SE', 'ECA', 'GatherExcite', 'GlobalContext', 'CoordinateAttention'),
    ),
    Probe(
        'two_steps',
        tasks.draw_two_steps,
        2,
        'As match, but no cue lies within four rows or columns of a query.',
        'CCNet: the first step brings what is in the row and column, the second what is anywhere. '
        'One step fails by construction, as does any gate of rows and columns.',
        carry=(*_PAIRS, _CROSS_2),
        fail=(*_LOCAL, 'SE', 'ECA', 'GlobalContext', _CROSS_1, 'CoordinateAttention'),
    ),
    Probe(
        'offset',
        tasks.draw_offset,
        2,
        'The class of the cue 9 rows below and 9 columns right of the query; another looks the '
        'same.',
        'Only relations that know where two pixels lie to each other tell the cues apart: relative '
        'positions in self-attention, relation-aware attention, an hourglass of convolutions. '
        'Attention by content alone cannot.',
        carry=(_RELATIVE, _FULL_GRID, 'ResidualAttention'),
        fail=(*_LOCAL, *_CHANNEL_GATES, *_PAIRS, 'GlobalContext', 'ChannelAttention', _CROSS_1),
    ),
    Probe(
        'position',
        tasks.draw_position,
        1,
        'Whether a square of 7 x 7 lies in the left or the right half; nothing else is on the map, '
        'which has no border.',
        'Coordinate attention claims to preserve precise positions; relation-aware attention '
        'stacks relations in the order of the positions, frequencies and pyramids pool where '
        'something is. What only sums over pixels knows no place, position attention included.',
        carry=('CoordinateAttention', _FULL_GRID, 'FCA', 'SPA'),
        fail=(*_LOCAL, 'SE', 'ECA', 'CSE', 'GatherExcite', 'GlobalContext', *_PAIRS)
        + ('ChannelAttention', _CROSS_1, _CROSS_2),
    ),
    Probe(
        'region',
        tasks.draw_region,
        2,
        'The class that a square of 5 x 5 shows, for all of its half of the map; each half has a '
        'key at all pixels.',
        'The case for regions (object context) and for attention between pixels: all pixels of a '
        'region bear its key. A context that is the same for all pixels has no answer for each.',
        carry=('ObjectContext', *_PAIRS, 'APNB', 'DoubleAttention', _CROSS_2),
        fail=(*_LOCAL, 'SE', 'ECA', 'GatherExcite', 'GlobalContext'),
    ),
    Probe(
        'scale',
        tasks.draw_scale,
        2,
        'Whether a pixel lies in the long or the short of two bars, 22 and 10 pixels, of which its '
        'field shows no end.',
        'Larger fields answer it: 7 x 7 and dilated convolutions (CBAM, BAM, GAM), an hourglass, '
        'looks along rows and columns. Selective kernels, multi-scale channel attention and '
        'pyramids claim sizes. All pixels inside the bars look the same, so that attention by '
        'content alone and pooling over the image cannot.',
        carry=('CBAM', 'BAM', 'GAM', 'ResidualAttention', _CROSS_1, 'CoordinateAttention')
        + ('FullyAttentional', 'SKConv', 'MSCAM', 'AFF', 'SPA'),
        fail=(*_LOCAL, *_PAIRS, 'SE', 'ECA', 'CSE', 'GlobalContext', 'ChannelAttention'),
    ),
    Probe(
        'second_order',
        tasks.draw_second_order,
        1,
        'Whether two channels agree or disagree at 18 of twenty far dots; the means of both are 0. '
        'Both show at the same pixels, so that the convolutions before the mechanism can form the '
        'agreement, and a mean of that is enough.',
        'Second-order pooling (GSoP) claims what means cannot see; products of channels over all '
        'positions (channel attention, channel interaction, double attention) have it as well. '
        'By that claim pooled means fail.',
        carry=('GSoP', 'ChannelAttention', 'CIAU', 'DoubleAttention'),
        fail=(*_LOCAL, 'SE', 'ECA', 'CSE', 'GatherExcite', 'GlobalContext'),
    ),
]
PROBES = {probe.name: probe for probe in _ROWS}
