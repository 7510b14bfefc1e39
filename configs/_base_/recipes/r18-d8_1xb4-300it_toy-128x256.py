_base_ = [
    '../models/resnet18_d8_scratch.py',
    '../datasets/toy.py',
    '../schedules/schedule_adamw_300it.py',
    '../default_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=_base_.num_classes),
    auxiliary_head=dict(num_classes=_base_.num_classes),
)
