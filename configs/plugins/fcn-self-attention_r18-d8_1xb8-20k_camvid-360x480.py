# In the last stage's residual branches, since it has no shortcut of its own.
_base_ = './fcn_r18-d8_1xb8-20k_camvid-360x480.py'
in_last_blocks = dict(_base_.in_blocks, stages=(False, False, False, True))
model = dict(backbone=dict(plugins=[dict(in_last_blocks, cfg=dict(type='MultiHeadSelfAttention'))]))
