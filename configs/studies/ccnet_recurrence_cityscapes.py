_base_ = './ccnet_recurrence.py'
base = '../ccnet/ccnet_r50-d8_4xb2-80k_cityscapes-512x1024.py'
data = 'Cityscapes'
variants = dict(none='../plugins/fcn_r50-d8_4xb2-80k_cityscapes-512x1024.py')
