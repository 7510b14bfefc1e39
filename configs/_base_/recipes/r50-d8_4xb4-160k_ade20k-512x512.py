_base_ = [
    '../models/resnet50_d8.py',
    '../datasets/ade20k.py',
    '../schedules/schedule_160k.py',
    '../default_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=_base_.num_classes),
    auxiliary_head=dict(num_classes=_base_.num_classes),
)
