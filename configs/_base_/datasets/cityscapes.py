_base_ = './common.py'
num_classes = 19
crop_size = (512, 1024)
train_pipeline = [
    _base_.load_image,
    _base_.load_labels,
    dict(_base_.random_resize, scale=(2048, 1024)),
    dict(_base_.random_crop, crop_size=crop_size),
    _base_.flip,
    _base_.distort,
    _base_.pack,
]
test_pipeline = [
    _base_.load_image,
    dict(_base_.resize, scale=(2048, 1024)),
    _base_.load_labels,  # after the resize: labels keep their size
    _base_.pack,
]
dataset = dict(type='CityscapesDataset', data_root='{{$MMATTN_DATA:data}}/cityscapes')
train_dataloader = dict(
    dataset=dict(
        dataset,
        data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        dataset,
        data_prefix=dict(img_path='leftImg8bit/val', seg_map_path='gtFine/val'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
