_base_ = './fla.py'
base = '../fla/fla_r50-d8_4xb2-80k_cityscapes-512x1024.py'
data = 'Cityscapes'
class_groups = dict(
    large=['road', 'sidewalk', 'building', 'vegetation', 'sky', 'car', 'truck', 'bus', 'train'],
    thin=[
        *('fence', 'pole', 'traffic light', 'traffic sign'),
        *('person', 'rider', 'motorcycle', 'bicycle'),
    ],
)
