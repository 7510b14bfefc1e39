"""OCR's modules give the numbers of the authors' code: apart, and as one plugin."""

import re

from mmattn.attention import ObjectAttention, ObjectContext, SpatialGather
from tests.golden import Case, check, conv_norm, rename

_OCR_BLOCK = (
    *conv_norm('f_pixel.0', 'f_pixel.1.0', 'query_project.0'),
    *conv_norm('f_pixel.2', 'f_pixel.3.0', 'query_project.1'),
    *conv_norm('f_object.0', 'f_object.1.0', 'key_project.0'),
    *conv_norm('f_object.2', 'f_object.3.0', 'key_project.1'),
    *conv_norm('f_down.0', 'f_down.1.0', 'value_project'),
    *conv_norm('f_up.0', 'f_up.1.0', 'out_project'),
)


def _attention(case: Case) -> tuple[ObjectAttention, dict]:
    """The module of the case `ocr`, and its state."""
    sizes = re.search(r'SpatialOCR_Module\((\d+), (\d+), (\d+)', case.text).groups()
    head = 'ocr_distri_head'
    state = rename(
        case.params,
        *((f'{head}.object_context_block.{old}', new) for old, new in _OCR_BLOCK),
        *conv_norm(f'{head}.conv_bn_dropout.0', f'{head}.conv_bn_dropout.1.0', 'bottleneck'),
    )
    return ObjectAttention(*map(int, sizes)), state


def test_object_context(golden_dir):
    case = Case(golden_dir, 'ocr')
    gather, (attention, state) = SpatialGather(), _attention(case)

    def forward(feats, logits):
        regions = gather(feats, logits)
        return [attention(feats, regions), regions]

    check(case, attention, state, forward)


def test_object_context_as_a_plugin_with_given_regions(golden_dir):
    case = Case(golden_dir, 'ocr')
    attention, state = _attention(case)
    module = ObjectContext(case.inputs[0].shape[1])
    module.attention = attention
    state = {f'attention.{key}': value for key, value in state.items()}
    state['region_project.weight'] = module.region_project.weight
    given, gathered = [], []
    module.region_project.register_forward_hook(lambda *_: given[-1])
    module.gather.register_forward_hook(lambda _, __, regions: gathered.append(regions))

    def forward(feats, logits):
        given.append(logits)
        return [module(feats), gathered[-1]]

    check(case, module, state, forward)


def test_object_attention_with_pooled_queries(golden_dir):
    case = Case(golden_dir, 'ocr_attention')
    module = ObjectAttention(*case.args, **case.kwargs)
    state = rename(case.params, *_OCR_BLOCK)
    state |= {k: v for k, v in module.state_dict().items() if k.startswith('bottleneck')}
    check(case, module, state, module.attend)
