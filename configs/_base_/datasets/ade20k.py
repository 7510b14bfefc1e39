_base_ = './common.py'
num_classes = 150
crop_size = (512, 512)
load_labels = dict(type='LoadAnnotations', reduce_zero_label=True)
train_pipeline = [
    _base_.load_image,
    load_labels,
    dict(_base_.random_resize, scale=(2048, 512)),
    dict(_base_.random_crop, crop_size=crop_size),
    _base_.flip,
    _base_.distort,
    _base_.pack,
]
test_pipeline = [
    _base_.load_image,
    dict(_base_.resize, scale=(2048, 512)),
    load_labels,  # after the resize: labels keep their size
    _base_.pack,
]
dataset = dict(type='ADE20KDataset', data_root='{{$MMATTN_DATA:data}}/ade/ADEChallengeData2016')
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        dataset,
        data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        dataset,
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
