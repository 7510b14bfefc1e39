_base_ = './fcn_r18-d8_1xb8-20k_camvid-360x480.py'
model = dict(backbone=dict(plugins=[dict(_base_.in_blocks, cfg=dict(type='SCSE'))]))
