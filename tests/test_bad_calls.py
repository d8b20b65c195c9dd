"""Bad arguments of what is no op: creation, methods, layers, optimizers, files.

Each call is an error that names the argument; each of those that are answered gives PyTorch's
answer.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import pyconv
import pyconv.functional as F
from pyconv import nn, optim


class Names(dict[str, Any]):
    """What the calls below use, made anew for each."""

    def __init__(self) -> None:
        p = nn.Parameter(np.ones((2, 3), np.float32))
        p.grad = pyconv.ones(2, 3)
        huge = np.broadcast_to(np.float32(1), (2**15,) * 4)
        fixed, frozen = pyconv.ones(2, 3), nn.Parameter([3.0])
        frozen.grad = pyconv.ones(1)
        for tensor in (fixed, frozen.grad):
            tensor._array.flags.writeable = False
        super().__init__(
            pyconv=pyconv, np=np, F=F, nn=nn, optim=optim, utils=nn.utils, init=nn.init,
            S=optim.lr_scheduler, p=p, sgd=optim.SGD([p], momentum=0.9), adam=optim.Adam([p]),
            x=pyconv.ones(2, 3), image=pyconv.ones(1, 2, 4, 4), number=pyconv.tensor(2.0),
            huge=huge, words=np.array(["mean", "sum"]), whole=pyconv.ones(2, 3, dtype="int64"),
            fixed=fixed, frozen=frozen, without=without,
        )  # fmt: skip
        self["adam"].step()


def without(module: nn.Module, name: str) -> nn.Module:
    setattr(module, name, None)
    return module


REFUSED = {
    # creation
    "pyconv.zeros('a')": "size is",
    "pyconv.zeros(2.5)": "size is .*2.5",
    "pyconv.zeros(2**62)": "size is .*4611686018427387904",
    "pyconv.zeros(2**31, 2**31)": "size is",
    "pyconv.empty(2**100)": "size is",
    "pyconv.ones(-1)": "size is .*-1",
    "pyconv.ones(*[1] * 33)": "size has 33",
    "pyconv.ones(2, dtype='foo')": "dtype is 'foo'",
    "pyconv.ones(2, requires_grad='a')": "requires_grad is 'a'",
    "pyconv.tensor([1.0], dtype='foo')": "dtype is 'foo'",
    "pyconv.tensor([1.0], dtype=str)": "dtype is <U0",
    "pyconv.tensor(huge)": "data has shape",
    "pyconv.full((2,), [1, 2])": "fill_value has shape",
    "pyconv.arange('a')": "end is 'a'",
    "pyconv.arange(float('inf'))": "end is inf",
    "pyconv.arange(0, 1, 2.0**-60)": "at most",
    "pyconv.linspace('a', 1, 2)": "start is 'a'",
    "pyconv.linspace(0, 1, 2**62)": "steps is",
    "pyconv.eye(2**31)": "size is",
    "pyconv.randint(0, 'a', (2,))": "high is 'a'",
    "pyconv.randn(2, generator=3)": "generator is a int",
    "pyconv.rand(2, dtype='int64')": "dtype is int64",
    "pyconv.manual_seed('a')": "seed is 'a'",
    "pyconv.manual_seed(-1)": "seed is -1",
    "pyconv.from_dlpack(np.array(['a']))": "x cannot be shared",
    # settings
    "pyconv.set_num_threads(2**31)": "n is 2147483648",
    "pyconv.set_num_threads('2')": "n is '2'",
    "pyconv.set_precision(words)": "precision is",
    "pyconv.algorithm(conv2d=words)": "conv2d has no",
    "pyconv.backend(words).__enter__()": "name is",
    "pyconv.explain(3)": "fn is 3",
    # shapes
    "x.reshape(4, -1)": r"reshape: shape is \(4, -1\) and input has shape \(2, 3\)",
    "x.reshape(-1, -1)": r"shape is \(-1, -1\)",
    "x.reshape(7)": r"shape is \(7,\)",
    "x.reshape('a')": "shape is",
    "x.reshape(2**62, 4)": "shape is",
    "x.reshape(2**63)": "shape is",
    "F.reshape(x, None)": "shape is",
    "x.expand(2, 4)": r"expand: shape is \(2, 4\) and input has shape \(2, 3\)",
    "x.expand(3)": r"shape is \(3,\)",
    "x.expand(-1, 2, 3)": r"shape is \(-1, 2, 3\)",
    "x.expand(2**62, 2, 3)": "shape is",
    "x.permute(0, 0)": r"dims is \(0, 0\)",
    "x.permute(0, 'a')": "dims is",
    "x.transpose(0, True)": "dim1 is True",
    "x.size(2)": "dim is 2",
    "number.size(0)": "no dimensions",
    "number.sum(1)": "dim is 1",
    "x.sum(1.5)": "dim is 1.5",
    "x.sum((0, None))": "dim is None",
    "x.sum(0, 'a')": "keepdim is 'a'",
    "x.var(0, unbiased=words)": "unbiased is",
    "x.to('foo')": "dtype is 'foo'",
    "F.max(x, x, True)": "max: keepdim is True",
    "F.clamp(x, x, np.nan)": "clamp: max is nan",
    "x**'a'": "exponent is a str",
    "x.softmax()": r"^Tensor.softmax\(\) missing",
    "x.__setitem__(0, 'a')": "value is a str",
    "pyconv.cat([number])": r"tensors\[0\] has shape \(\)",
    "pyconv.cat(x)": "cat: tensors is a Tensor, expected a tuple or list of tensors",
    "pyconv.cat([x, pyconv.ones(3, 4)], 1)": r"tensors\[1\] has shape \(3, 4\)",
    "number.split(1)": r"input has shape \(\)",
    "number.chunk(1)": r"input has shape \(\)",
    "F.chunk(pyconv.ones(0, 3), 2**40)": "chunks is 1099511627776, must be at most 1048576",
    # words and flags
    "F.pad(x, (1, 1), mode=words)": "mode is",
    "F.interpolate(image, 2, mode=words)": "mode is",
    "F.interpolate(image, 2, mode='bilinear', align_corners=words)": "align_corners is",
    "F.mse_loss(x, x, words)": "reduction is",
    "F.cross_entropy(x, [0, 1], reduction=words)": "reduction is",
    "F.gelu(x, words)": "approximate is",
    "F.dropout(x, 0.5, words)": "training is",
    "F.batch_norm(image, None, None, training=words)": "training is",
    "F.instance_norm(image, use_input_stats=False)": "instance_norm: use_input_stats is False",
    "F.max_pool2d(image, 2, ceil_mode='a')": "max_pool2d: ceil_mode is 'a', expected True or",
    "F.max_pool2d(image, 2, ceil_mode=2)": "ceil_mode is 2",
    "F.max_pool2d(image, 2, return_indices=words)": "return_indices is",
    "F.avg_pool2d(image, 2, count_include_pad=None)": "count_include_pad is None",
    "F.adaptive_avg_pool2d(huge, 2)": "input has shape",
    "F.max(huge)": "input has shape",
    # layers
    "nn.Linear(2**40, 1)": "in_features is",
    "nn.Linear(2, 2, bias=words)": "bias is",
    "nn.Conv2d(2**31, 1, 1)": "in_channels is",
    "nn.Conv2d(2, 2, 1, padding_mode=words)": "padding_mode is",
    "nn.BatchNorm2d(2**62)": "num_features is",
    "nn.GroupNorm('a', 4)": "num_groups is 'a'",
    "nn.LayerNorm('a')": "normalized_shape is",
    "nn.Embedding(-1, 2)": "num_embeddings is -1",
    "nn.Flatten('a')": "start_dim is 'a'",
    "nn.Unflatten(1, 2.5)": "unflattened_size is",
    "nn.LSTM(2, 3, bidirectional=words)": "bidirectional is",
    "nn.ModuleList(3)": "modules is a int",
    "nn.ModuleDict([3])": "modules is a list",
    "init.uniform_(3)": "tensor is a int",
    "init.constant_(x, 'a')": "val is 'a'",
    "init.kaiming_uniform_(x, mode=words)": "mode is",
    "init.kaiming_uniform_(whole)": "tensor has dtype int64",
    "init.xavier_normal_(whole)": "tensor has dtype int64",
    "init.orthogonal_(whole)": "tensor has dtype int64",
    "init.normal_(x, std=-1)": "std is -1",
    "init.uniform_(x, 5, 1)": "a is 5, expected at most b, which is 1",
    "init.xavier_uniform_(x, -1)": "gain is -1",
    "init.zeros_(fixed)": "tensor is read-only",
    "init.uniform_(x, -3e38, 3e38)": r"b - a is 6e\+38, expected a finite number of float32",
    "init.uniform_(x, 0, np.inf)": "uniform_: b is inf",
    "init.normal_(x, 0, 1e39)": r"std is 1e\+39",
    "init.xavier_uniform_(x, np.inf)": "gain is inf",
    "init.xavier_normal_(x, 1e39)": r"gain is 1e\+39",
    "init.orthogonal_(x, np.inf)": "gain is inf",
    "init.constant_(x, 1e39)": r"val is 1e\+39",
    "init.constant_(whole, np.nan)": "val holds a number that is not possible in int64",
    "init.constant_(whole.to('uint8'), 300)": "val holds a number that is not possible in uint8",
    "nn.ReLU(inplace=np.array([1, 2]))": "ReLU: inplace is",
    "nn.Dropout(inplace='a')": "Dropout: inplace is 'a'",
    "nn.BatchNorm2d(2, eps=np.ones(2))": "BatchNorm2d: eps is",
    "nn.BatchNorm1d(2, momentum=10**400)": "BatchNorm1d: momentum is",
    "nn.GroupNorm(1, 2, eps=None)": "GroupNorm: eps is None",
    "nn.LayerNorm(2, eps='a')": "LayerNorm: eps is 'a'",
    "nn.AvgPool3d((2, 2))": r"kernel_size is \(2, 2\)",
    "nn.Embedding.from_pretrained([1.0])": r"embeddings has shape \(1,\)",
    "nn.Embedding.from_pretrained(x, freeze='a')": "freeze is 'a'",
    "nn.Sequential(nn.ReLU())['0']": "Sequential: index is '0'",
    "nn.ModuleList()[1.0]": "ModuleList: index is 1.0",
    "nn.ModuleList() + 3": "modules is a int",
    "nn.ReLU().apply(3)": "apply: fn is 3",
    "nn.ReLU().state_dict(prefix=3)": "prefix is 3",
    "nn.ReLU().state_dict(keep_vars='a')": "keep_vars is 'a'",
    "nn.ReLU().train('a')": "mode is 'a'",
    "nn.ReLU().load_state_dict({}, strict='a')": "strict is 'a'",
    "nn.ReLU().zero_grad('a')": "set_to_none is 'a'",
    "nn.GRU(3, 2)(x, return_gates='a')": "return_gates is 'a'",
    "nn.GRU(4, 2)(image[0], lengths=p.sum())": "lengths is tensor.* float32",
    "nn.GRU(4, 2)(image[0], lengths=[p.sum()])": r"lengths is \[tensor.* expected integers",
    "nn.GRU(4, 2)(image[0], lengths=[[1], [2, 3]])": r"lengths is \[\[1\], \[2, 3\]\], expected",
    "F.relu((x, x))": "input is a tuple that holds Tensors, expected a Tensor",
    "nn.Linear(3, 2)([x, 2])": "input holds lists of unequal lengths",
    "without(nn.RNN(3, 2), 'weight_ih_l0')(x)": "RNN: weight_ih_l0 is None",
    "without(nn.GRUCell(3, 2), 'weight_hh')(x)": "GRUCell: weight_hh is None",
    "utils.rnn.unroll(nn.GRU(3, 3, 2), 2)(x[:, None], pyconv.ones(3, 1, 3))":
        r"unroll: hx has shape \(3, 1, 3\)",
    "utils.rnn.unroll(nn.LSTM(3, 3), 2)(x[:, None], 3)": "unroll: hx is a int",
    "pyconv.models.char_rnn(0)": "CharRNN: vocabulary is 0",
    "pyconv.models.char_rnn(5, 1, num_layers=10**9)": "LSTM: num_layers is 1000000000",
    "pyconv.models.tcn('x', [1])": "tcn: in_channels is 'x'",
    "pyconv.models.tcn(1, [])": "tcn: channels is empty",
    # numbers that are complex, or times
    "F.leaky_relu([-1.0], np.complex64(.1 + 5j))": "leaky_relu: negative_slope is .*5j",
    "F.leaky_relu([-1.0], np.timedelta64(3))": "leaky_relu: negative_slope is .*timedelta",
    "pyconv.arange(0, np.complex128(3 + 9j))": "arange: end is .*9j",
    "F.clamp([1.0], np.complex64(1j))": "clamp: min is",
    "F.cross_entropy(x, [0, 1], label_smoothing=np.complex64(0.1))": "label_smoothing is",
    "F.dropout([1.0], np.timedelta64(1))": "dropout: p is .*timedelta",
    "F.interpolate(image, scale_factor=np.timedelta64(2))": "scale_factor is .*timedelta",
    "utils.clip_grad_norm_(p, np.complex64(1))": "max_norm is",
    # data
    "pyconv.data.shapes_segmentation(1, 1, 16, noise=np.timedelta64(1))": "noise is .*timedelta",
    "pyconv.data.random_split(5, [2, 3])": "random_split: dataset is a int",
    # gradients
    "pyconv.autograd.gradcheck(F.exp, p, eps=0)": "eps is 0.0, expected a finite number other",
    "pyconv.autograd.gradcheck(F.exp, p, eps=np.inf)": "eps is inf",
    "pyconv.autograd.gradcheck(F.exp, p, atol=np.inf)": "atol is inf",
    "pyconv.autograd.gradcheck(F.exp, p, atol=-1)": "atol is -1",
    "pyconv.autograd.gradcheck(F.exp, p, rtol=np.inf)": "rtol is inf",
    "setattr(x, 'grad', 3)": "grad is a int",
    "setattr(x, 'grad', pyconv.ones(3))": r"grad has shape \(3,\)",
    "setattr(x, 'grad', pyconv.ones(2, 3, dtype='float64'))": "grad has .* float64",
    "setattr(x, 'requires_grad', 'a')": "requires_grad is 'a'",
    "pyconv.autograd.grad(3, p)": "outputs is a int",
    "pyconv.autograd.grad(p.sum(), [3])": "inputs is a list",
    "pyconv.autograd.backward([p.sum()], 3)": "backward: grad_tensors is a int, expected one",
    "p.sum().backward(create_graph=words)": "create_graph is",
    # optimizers
    "optim.SGD(None)": "params is a NoneType",
    "optim.SGD(huge)": "params holds a ndarray",
    "optim.SGD([{'params': 3}])": "params is a int",
    "optim.SGD([p], nesterov=words)": "nesterov is",
    "optim.SGD([p], dampening='a')": "dampening is 'a'",
    "optim.Adam([p], betas=(0.9, 'a'))": "betas is 'a'",
    "optim.Adam([p], betas=None)": "betas is None",
    "adam.param_groups[0].update(betas=3) or adam.step()": "betas is 3",
    "optim.SGD([p], lr=np.ones(2))": r"lr is \[1.0, 1.0\]",
    "optim.SGD([nn.Parameter(np.ones(3, '>f4'))])": "foreign byte order",
    "optim.SGD([nn.Parameter(pyconv.ones(1).expand(3))])": "read-only",
    "sgd.load_state_dict({'state': {}, 'param_groups': 3})": "param_groups is no list",
    "sgd.load_state_dict(sgd.state_dict() | {'state': 3})": "state is no dict",
    "sgd.load_state_dict(sgd.state_dict() | {'state': {0: {'momentum_buffer': 3}}})":
        "momentum_buffer is a int",
    "sgd.load_state_dict(sgd.state_dict() | {'state': {0: {'momentum_buffer': pyconv.ones(3)}}})":
        r"momentum_buffer is of shape \(3,\)",
    "sgd.load_state_dict(sgd.state_dict() | {'state': {0: {'momentum_buffer': x.to('float64')}}})":
        "momentum_buffer is of .* float64",
    "adam.load_state_dict(adam.state_dict() | {'state': {0: {'step': 'a'}}})": "step is 'a'",
    "adam.load_state_dict(adam.state_dict() | {'state': {0: {'step': np.array(1.5)}}})":
        "step is 1.5",
    "adam.load_state_dict({'state': {}, 'param_groups': [{'params': [0], 'betas': 3}]})":
        "betas is 3",
    "adam.load_state_dict({'state': {}, 'param_groups': [{'params': [0], 'eps': -1}]})":
        "eps is -1",
    "S.StepLR(sgd, None)": "step_size is None",
    "S.StepLR(sgd, 1, 'a')": "gamma is 'a'",
    "S.MultiStepLR(sgd, [1, 'a'])": "milestones is 'a'",
    "S.OneCycleLR(sgd, 'a', 9)": "max_lr is 'a'",
    "S.SequentialLR(sgd, 3, [])": "schedulers is a int",
    "S.ReduceLROnPlateau(sgd, words)": "mode is",
    "S.ReduceLROnPlateau(sgd).step('a')": "metrics is 'a'",
    "S.ReduceLROnPlateau(sgd).step(np.ones(2))": "metrics is array",
    "S.StepLR(sgd, 1).load_state_dict(3)": "state_dict is a int",
    "S.StepLR(sgd, 1).load_state_dict({'optimizer': 3})": "state_dict has",
    "sgd.zero_grad('a')": "set_to_none is 'a'",
    "sgd.load_state_dict({'state': {}, 'param_groups': [{'params': [[1]]}]})":
        "param_groups is no list",
    "sgd.param_groups[0].update(lr=None) or sgd.step()": "SGD: lr is None",
    "adam.param_groups[0].update(lr='a') or adam.step()": "Adam: lr is 'a'",
    "adam.param_groups[0].update(eps=-1) or adam.step()": "Adam: eps is -1",
    "sgd.param_groups[0].pop('lr') and sgd.step()": "SGD: a group has no 'lr'",
    "utils.clip_grad_norm_(3, 1.0)": "parameters is a int",
    "utils.clip_grad_norm_(p, 'a')": "max_norm is 'a'",
    "utils.clip_grad_value_(p, None)": "clip_value is None",
    "utils.clip_grad_value_([3], 1.0)": "parameters holds a int",
    "utils.clip_grad_norm_(frozen, 0.1)": "a gradient of parameters is read-only",
    "utils.clip_grad_value_(frozen, 0.1)": "a gradient of parameters is read-only",
    "utils.vector_to_parameters(pyconv.ones(12), [x, fixed])": r"parameters\[1\] is read-only",
    "utils.parameters_to_vector([x, 3])": "parameters holds a int",
    # files
    "pyconv.load(None)": "path is None",
    "pyconv.load('a\\0')": "path is 'a.*', which no file can have for a name",
    "pyconv.save({}, 3)": "path is 3",
    "pyconv.save({}, 'a\\0')": "path is 'a.*', which no file can have for a name",
    "pyconv.save({}, '\\ud800')": "which no file can have for a name",
}  # fmt: skip


@pytest.mark.parametrize("call", REFUSED)
def test_message_names_the_argument(call: str) -> None:
    with pytest.raises((ValueError, TypeError), match=REFUSED[call]):
        eval(call, Names())


ANSWERED = [
    *[f"{{}}.{op}({dim})" for dim in (0, -1) for op in ("sum", "mean", "argmax", "squeeze")],
    *["{}.max(0).values", "{}.min(-1).indices", "{}.softmax(0)", "{}.log_softmax(-1)"],
    *["{}.transpose(0, -1)", "{}.flatten(0, -1)", "{}.unsqueeze(-1)", "{}.var(0)"],
    *["{}.sum(0, keepdim=True)", "{}.argmax(0, keepdim=True)", "{}.permute(())", "{}.reshape(-1)"],
]


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:var")
@pytest.mark.parametrize("call", ANSWERED)
def test_a_number_has_dimension_0(call: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours, theirs = (
        eval(call.format(f"lib.tensor({value})"), {"lib": lib})
        for lib, value in ((pyconv, "2.0"), (torch, "2.0"))
    )
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert ours.shape == tuple(theirs.shape)


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (3, IndexError, "index 3 is out of bounds for a tensor of shape (2, 3)"),
        ((0, 0, 0), IndexError, "index (0, 0, 0) takes 3 dimensions of a tensor of shape (2, 3)"),
        ((..., ...), IndexError, "has more than one ..."),
        (1.5, IndexError, "index 1.5: expected integers, slices"),
        ([0.5], IndexError, "index [0.5]: expected integers, slices"),
        ([True, False, True], IndexError, "out of bounds, or its arrays do not fit"),
        (([0, 1], [0, 1, 2]), IndexError, "out of bounds, or its arrays do not fit"),
        ("a", TypeError, "index 'a': expected integers, slices"),
        ([nn.Parameter([1.0])], IndexError, "expected integers or bools"),
        (np.uint64(2**63), IndexError, "index 9223372036854775808 is out of bounds"),
        (np.array(2**64 - 1, np.uint64), IndexError, "is out of bounds"),
        (slice(0.0, 2), TypeError, "expected integers or None in a slice"),
        (slice(None, None, 0), ValueError, "expected a step other than 0 in a slice"),
    ],
)
def test_index_that_is_none(key: Any, error: type[Exception], message: str) -> None:
    x = pyconv.ones(2, 3)
    for call in (lambda: x[key], lambda: x.__setitem__(key, 1)):
        with pytest.raises(error, match=re.escape(message)):
            call()


@pytest.mark.parametrize("key", [2, -3, 2**63, -(2**100), (0, 3)])
def test_an_index_that_is_out_of_bounds(key: Any) -> None:
    with pytest.raises(IndexError, match="out of bounds"):
        pyconv.ones(2, 3)[key]


def test_state_is_checked_before_anything_changes() -> None:
    names = Names()
    before = repr(names["adam"])
    state = names["adam"].state_dict()
    state["param_groups"] = [state["param_groups"][0] | {"lr": 7.0, "eps": -1.0}]
    with pytest.raises(ValueError, match="eps is -1"):
        names["adam"].load_state_dict(state)
    assert repr(names["adam"]) == before


def test_the_reference_checks_what_it_is_given() -> None:
    """As the kernels do, and running statistics move once."""
    mean, var = pyconv.zeros(2), pyconv.ones(2)
    image = pyconv.arange(16.0).reshape(1, 2, 2, 4)
    with pyconv.backend("reference"):
        for call in (
            lambda: F.conv2d(image, np.ones((1, 3, 1, 1), np.float32)),
            lambda: F.conv2d(image, pyconv.ones(1, 2, 1, 1), stride=-1),
            lambda: F.max_pool2d(image, 0),
            lambda: F.lp_pool2d(image, 0, 2),
            lambda: F.cross_entropy([[1.0, 2.0]], [2]),
            lambda: F.mse_loss(image, image, "max"),
            lambda: F.batch_norm(image, mean, pyconv.ones(3), training=True),
        ):
            with pytest.raises((ValueError, TypeError)):
                call()
        F.batch_norm(image, mean, var, training=True, momentum=0.5)
    np.testing.assert_allclose(mean.numpy(), image.numpy().mean((0, 2, 3)) / 2, rtol=1e-6)
