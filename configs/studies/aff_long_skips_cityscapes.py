_base_ = './aff_long_skips.py'
base = '../fpn/fpn-aff_r50_4xb2-80k_cityscapes-512x1024.py'
data = 'Cityscapes'
variants = dict(add='../fpn/fpn_r50_4xb2-80k_cityscapes-512x1024.py')
