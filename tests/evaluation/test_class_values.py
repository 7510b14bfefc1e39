"""The values of each class, from mmseg's metric."""

import torch
from mmengine.evaluator import Evaluator
from mmengine.evaluator.metric import DumpResults
from mmseg.evaluation import IoUMetric

from mmattn.evaluation.class_values import keep_class_values, percent_of_classes


def test_values_of_each_class_are_kept_when_the_metric_is_computed(tmp_path):
    metric = IoUMetric(iou_metrics=['mIoU', 'mDice'])
    evaluator = Evaluator([DumpResults(str(tmp_path / 'results.pkl')), metric])
    evaluator.dataset_meta = dict(classes=('sky', 'road', 'car'))
    kept = keep_class_values(evaluator)
    assert percent_of_classes(kept, 'IoU', ('sky', 'road', 'car')) == {}

    label = torch.tensor([[0, 0, 1, 255]])
    prediction = torch.tensor([[0, 1, 1, 1]])
    sample = dict(pred_sem_seg=dict(data=prediction), gt_sem_seg=dict(data=label))
    metric.process({}, [sample])
    metrics = metric.evaluate(1)
    assert metrics['mIoU'] == 50 and set(kept) == {'aAcc', 'IoU', 'Acc', 'Dice'}
    ious = percent_of_classes(kept, 'IoU', ('sky', 'road', 'car'))
    assert ious == {'sky': 50.0, 'road': 50.0, 'car': None}
    assert percent_of_classes(kept, 'Dice', ('sky', 'road', 'car'))['road'] == 66.67
