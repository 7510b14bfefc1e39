"""Why results of the probes are as they are, where that is known; the page shows it beside them."""

from collections.abc import Sequence


def listed(names: Sequence[str]) -> str:
    """Names as code, with commas."""
    return ', '.join(f'`{name}`' for name in names)


_ELIMINATION = (
    'A cue within four rows or columns of a query, and half of the queries have one, is that of '
    'the other query, whose class is the opposite: 75 % can be had so.'
)
_TWO_STEPS = (
    'Two steps connect every two pixels, so that the information is there; why it was not learnt '
    'is open. Both steps share their weights, and queries and keys have 4 of 32 channels here.'
)
_SCALES = (
    'Its scales are one pixel (1 x 1 convolutions) and the whole map. Inside a bar both are the '
    'same for a long and a short one.'
)
_THROUGH_WEIGHTS = (
    'Its output at a pixel mixes the channels of that pixel alone. What else is in the row or '
    'column changes the weights of the mixture, by its product with the mean of all rows or '
    'columns, and nothing more.'
)
_OWN_KEY = (
    'The context is one for all queries, but it can hold the class of each key; what is behind it '
    "has the query's own key beside it and picks."
)
_FIRST_ORDER = (
    'The convolutions before the mechanism see both channels of a dot and can tell with their '
    'ReLUs whether they agree, and of that a mean is enough. So this probe does not tell '
    'second-order pooling from means; what it tells is which of them learnt it in these steps.'
)
# Why a result did not agree with its hypothesis, where that is known, by mechanism and probe. The
# page shows a note only where the cell was run and did not agree.
NOTES = {
    ('AFF', 'scale'): _SCALES,
    ('MSCAM', 'scale'): _SCALES,
    ('CoordinateAttention', 'position'): (
        'Its means of rows and columns go through convolutions that all rows and columns share: '
        'where the map moves, the gates move with it, and nothing tells one row from another. It '
        'keeps apart what lies in different rows, but does not know which row is which.'
    ),
    ('CrissCross', 'offset'): _ELIMINATION,
    ('CrissCross(recurrence=2)', 'match'): _TWO_STEPS,
    ('CrissCross(recurrence=2)', 'two_steps'): _TWO_STEPS,
    ('FullyAttentional', 'match'): _THROUGH_WEIGHTS,
    ('FullyAttentional', 'row'): _THROUGH_WEIGHTS,
    ('GAM', 'statistic'): (
        'It does not pool. Its two 7 x 7 convolutions and those of the net see 21 x 21 pixels, '
        'about half of the dots; why it learnt nothing of those is open.'
    ),
    ('GatherExcite', 'statistic'): (
        'In its default form the gate of a channel is the sigmoid of the mean of that channel: '
        'it has the statistic, as squeeze-and-excitation has, but no weights that could amplify it.'
    ),
    ('GlobalContext', 'match'): _OWN_KEY,
    ('GlobalContext', 'region'): _OWN_KEY,
    ('GlobalContext', 'second_order'): _FIRST_ORDER,
    ('GlobalContext', 'two_steps'): _OWN_KEY,
    ('PositionAttention', 'match'): (
        'One start of three learnt it, and one nothing in these steps. What it brings is '
        'multiplied by a number that begins at 0, and until that has grown queries and keys get '
        'no gradient.'
    ),
    ('RGA(grid=(24, 24))', 'offset'): (
        'Its relations are in the order of the positions on the map: which of them is that to the '
        'pixel 9 rows below differs from pixel to pixel, and the layer that reads them is the same '
        'for all.'
    ),
    ('SE', 'second_order'): _FIRST_ORDER,
    ('SPA', 'scale'): (
        'Its pyramid ends in a gate for each channel of the whole map, which is the same in both '
        'bars.'
    ),
}

# What can tell where on the map it is, though the net around it cannot.
SEE_BORDERS = ('BAM', 'CBAM', 'FullyAttentional', 'GAM', 'ResidualAttention', 'SKConv')
SEE_CELLS = ('APNB', 'FCA', 'InterlacedSparse', 'RGA', 'RGA(grid=(24, 24))', 'SPA')

# Why mechanisms solved a probe that no paper lets one expect of them.
UNFORESEEN = {
    'match': (
        'The pool of the map can have a channel for each key and class. The gates of the fusions '
        'are computed from, and those of others multiplied with, the features of the pixel itself, '
        'and so keep of each query what belongs to its own key (CBAM learnt it so from some '
        'seeds). The hypothesis for squeeze-and-excitation, that one context has no answer for '
        'each query, overlooks this, though SE itself did not learn it.'
    ),
    'two_steps': (
        'To what compares or pools all pixels it is nearly the same task as *match*; that some '
        'learnt one and not the other may be a matter of the start.'
    ),
    'position': (
        'The convolutions of some mechanisms pad with zeros, so that they see where the map ends '
        f'({listed(SEE_BORDERS)}); others pool or compare in cells of a grid that lies still '
        f'({listed(SEE_CELLS)}). These could tell, though not all learnt to. The outputs of all '
        'others, but for self-attention with positions, move with the map.'
    ),
    'second_order': _FIRST_ORDER,
}
