"""Checkpoints of MMSegmentation, whose names are ours too.

All weights of the model are kept, with those of the auxiliary head, which its configs build.
"""

from mmattn.apis.layouts.plan import Layout, Plan, State

_PARTS = ('backbone', 'neck', 'decode_head', 'auxiliary_head')


def _read(state: State) -> Plan:
    present = {key.partition('.')[0] for key in state}
    return Plan(tuple((part, part) for part in _PARTS if part in present))


MMSEG = Layout(
    'MMSegmentation', ('decode_head.conv_seg.weight', 'decode_head.1.conv_seg.weight'), _read
)
