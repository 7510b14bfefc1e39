_base_ = [
    '../models/resnet50_d8.py',
    '../datasets/cityscapes.py',
    '../schedules/schedule_80k.py',
    '../default_runtime.py',
]
model = dict(data_preprocessor=dict(size=_base_.crop_size))
