_base_ = '../ccnet/ccnet_r50-d8_1xb8-20k_camvid-360x480.py'
model = dict(decode_head=dict(recurrence=3))
