_base_ = './common.py'
num_classes = 11
crop_size = (360, 480)
train_pipeline = [
    _base_.load_image,
    _base_.load_labels,
    dict(_base_.random_resize, scale=(480, 360)),
    dict(_base_.random_crop, crop_size=crop_size),
    _base_.flip,
    _base_.distort,
    _base_.pack,
]
test_pipeline = [_base_.load_image, _base_.load_labels, _base_.pack]
dataset = dict(type='CamVidDataset', data_root='{{$MMATTN_DATA:data}}/camvid')
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        dataset,
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        dataset,
        data_prefix=dict(img_path='images/val', seg_map_path='labels/val'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
