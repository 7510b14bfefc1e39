_base_ = '../_base_/recipes/r18-d8_1xb4-300it_toy-128x256.py'
model = dict(decode_head=dict(type='CCNetHead'))
