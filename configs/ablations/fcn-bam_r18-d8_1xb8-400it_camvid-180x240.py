_base_ = './fcn_r18-d8_1xb8-400it_camvid-180x240.py'
model = dict(backbone=dict(plugins=[dict(_base_.between_stages, cfg=dict(type='BAM'))]))
