# CamVid at half its size, for runs on a CPU; scored against the labels of full size.
_base_ = './camvid.py'
crop_size = (180, 240)
train_pipeline = [
    _base_.load_image,
    _base_.load_labels,
    dict(_base_.random_resize, scale=(480, 360), ratio_range=(0.5, 1.0)),
    dict(type='RandomCrop', crop_size=crop_size),
    _base_.flip,
    _base_.pack,
]
test_pipeline = [
    _base_.load_image,
    dict(_base_.resize, scale=(240, 180)),
    _base_.load_labels,  # after the resize: labels keep their size
    _base_.pack,
]
train_dataloader = dict(num_workers=1, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
