# One branch of DANet, with one loss.
_base_ = '../_base_/recipes/r50-d8_1xb8-20k_camvid-360x480.py'
attention = dict(type='PositionAttention')
model = dict(decode_head=dict(type='AttentionHead', attention=attention, concat_input=False))
