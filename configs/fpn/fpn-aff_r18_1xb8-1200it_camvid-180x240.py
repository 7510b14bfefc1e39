_base_ = './fpn_r18_1xb8-1200it_camvid-180x240.py'
model = dict(neck=dict(type='AFFFPN', fusion=dict(type='AFF')))
