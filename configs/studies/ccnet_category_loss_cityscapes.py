_base_ = './ccnet_category_loss.py'
base = '../ccnet/ccnet_r50-d8_4xb2-80k_cityscapes-512x1024.py'
data = 'Cityscapes'
