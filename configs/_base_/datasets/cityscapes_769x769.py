# Sides of the form 8n + 1, for models with aligned corners.
_base_ = './cityscapes.py'
scale = (2049, 1025)
crop_size = (769, 769)
train_pipeline = [
    _base_.load_image,
    _base_.load_labels,
    dict(_base_.random_resize, scale=scale),
    dict(_base_.random_crop, crop_size=crop_size),
    _base_.flip,
    _base_.distort,
    _base_.pack,
]
test_pipeline = [
    _base_.load_image,
    dict(_base_.resize, scale=scale),
    _base_.load_labels,
    _base_.pack,
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
