_base_ = './common.py'
num_classes = 8
crop_size = (128, 256)
train_pipeline = [
    _base_.load_image,
    _base_.load_labels,
    dict(_base_.random_resize, scale=(256, 128), ratio_range=(0.75, 1.5)),
    dict(type='RandomCrop', crop_size=crop_size),
    _base_.flip,
    _base_.pack,
]
test_pipeline = [_base_.load_image, _base_.load_labels, _base_.pack]
dataset = dict(type='ToyScenesDataset', data_root='{{$MMATTN_DATA:data}}/toy')
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(
        dataset,
        data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(
        dataset,
        data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
