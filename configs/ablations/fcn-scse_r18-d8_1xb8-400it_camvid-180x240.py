_base_ = './fcn_r18-d8_1xb8-400it_camvid-180x240.py'
model = dict(backbone=dict(plugins=[dict(_base_.in_blocks, cfg=dict(type='SCSE'))]))
