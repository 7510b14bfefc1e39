# Parts of a frame, and of the frames of its clip, attend to each other.
_base_ = './fcn_r18-d8_1xb8-1200it_camvidclips-180x240.py'
attention = dict(type='SIAU', num_frames=_base_.clips.num_frames)
model = dict(backbone=dict(plugins=[dict(_base_.between_stages, cfg=attention)]))
