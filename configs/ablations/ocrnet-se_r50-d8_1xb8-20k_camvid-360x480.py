_base_ = '../ocrnet/ocrnet_r50-d8_1xb8-20k_camvid-360x480.py'
plugin = dict(cfg=dict(type='SE'), position='after_conv3', stages=(False, True, True, True))
model = dict(backbone=dict(type='AttnResNetV1c', plugins=[plugin]))
