"""Initial values, clipping, vectors of parameters, fusion."""

from __future__ import annotations

import math

import numpy as np
import pytest

import pyconv
import pyconv.functional as F
from pyconv import nn
from pyconv.nn import init, utils

# ---- initial values ----------------------------------------------------------------------------

DRAWS = {
    "xavier_uniform_": [{}, {"gain": 3.0}],
    "xavier_normal_": [{}, {"gain": 0.5}],
    "kaiming_uniform_": [{}, {"a": 1.0}, {"mode": "fan_out", "nonlinearity": "tanh"}],
    "kaiming_normal_": [{}, {"nonlinearity": "relu"}, {"mode": "fan_out", "nonlinearity": "selu"}],
    "orthogonal_": [{}, {"gain": 2.0}],
}


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), [(n, o) for n, all in DRAWS.items() for o in all])
def test_distributions_are_those_of_pytorch(name, options):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    pyconv.manual_seed(0)
    torch.manual_seed(0)
    for shape in [(120, 200), (30, 40, 3, 5)]:
        ours = getattr(init, name)(pyconv.empty(*shape), **options).numpy()
        theirs = getattr(torch.nn.init, name)(torch.empty(*shape), **options).numpy()
        # The standard error of a standard deviation, for both of them, four times.
        assert ours.std() == pytest.approx(theirs.std(), rel=4 / math.sqrt(ours.size))
        assert abs(ours.mean()) < 4 * ours.std() / math.sqrt(ours.size)
        if "uniform" in name:
            assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=0.01)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["linear", "conv2d", "conv_transpose1d", "sigmoid", "tanh", "relu",
                                  "leaky_relu", "selu"])  # fmt: skip
def test_gains_are_those_of_pytorch(name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain(name, 0.3) == torch.nn.init.calculate_gain(name, 0.3)


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (5, 5), (3, 2, 2)])
def test_orthogonal(shape):
    w = init.orthogonal_(pyconv.empty(*shape, dtype="float64"), 2).numpy().reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-13)


def test_init_of_little_and_wrong():
    for name in DRAWS:
        assert getattr(init, name)(pyconv.empty(0, 3)).shape == (0, 3)
        with pytest.raises(ValueError, match=r"shape \(3,\)"):
            getattr(init, name)(pyconv.empty(3))
    for wrong in ("gelu", None):
        with pytest.raises(ValueError, match="nonlinearity is"):
            init.calculate_gain(wrong)
    with pytest.raises(ValueError, match="param is True"):
        init.calculate_gain("leaky_relu", True)
    assert init.calculate_gain("leaky_relu", np.float32(0.5)) == math.sqrt(1.6)
    generator = np.random.default_rng(3)
    first = init.xavier_normal_(pyconv.empty(3, 3), generator=generator).numpy()
    again = init.xavier_normal_(pyconv.empty(3, 3), generator=np.random.default_rng(3)).numpy()
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [
        (0, 1, -2, 2),
        (0, 0.02, -2, 2),
        (1, 2, 0, 1.5),
        (0, 1, 0.5, 0.6),
        (0, 1, 3, 9),
        (0, 1, -1e30, -5),
        (7, 1e-20, 7, 7),
    ],
)
def test_truncated_normal_numbers(mean, std, a, b, dtype):
    pyconv.manual_seed(0)
    drawn = init.trunc_normal_(pyconv.empty(200, 100, dtype=dtype), mean, std, a, b).numpy()
    assert a <= drawn.min()
    assert drawn.max() <= b
    x = np.linspace(max(a, mean - 12 * std), min(b, mean + 12 * std), 10**5)
    density = np.exp(-(((x - mean) / std) ** 2) / 2)
    centre = np.average(x, weights=density)
    width = math.sqrt(np.average((x - centre) ** 2, weights=density))
    error = width / math.sqrt(drawn.size)
    assert drawn.mean(dtype="float64") == pytest.approx(centre, abs=4 * error, rel=1e-6)
    assert drawn.std(dtype="float64") == pytest.approx(width, abs=6 * error, rel=1e-6)


@pytest.mark.parametrize(("a", "b"), [(-0.5, 0.5), (3, 4)])
def test_truncated_normal_numbers_in_bfloat16(a, b):
    pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    drawn = init.trunc_normal_(pyconv.empty(1000, dtype="bfloat16"), a=a, b=b).float()
    assert a <= drawn.min().item() < drawn.max().item() <= b


@pytest.mark.parametrize(
    "wrong", [{"std": 0}, {"a": 3}, {"a": 5000, "b": 6000}, {"b": math.inf}, {"std": 1e-50}]
)
def test_truncated_normal_numbers_that_there_are_not(wrong):
    options = {"mean": 3.0, **wrong}
    with pytest.raises(ValueError, match="trunc_normal_"):
        init.trunc_normal_(pyconv.empty(3), **options)


@pytest.mark.parametrize(("conv", "size"), [(nn.Conv1d, 1), (nn.Conv2d, 2), (nn.Conv3d, 3)])
def test_dirac_hands_on_its_input(conv, size):
    layer = conv(6, 6, 3, padding=1, groups=3, bias=False)
    assert init.dirac_(layer.weight, 3) is layer.weight
    x = pyconv.rand(2, 6, *[4] * size)
    np.testing.assert_allclose(layer(x).detach().numpy(), x.numpy(), atol=1e-6)


@pytest.mark.torch
def test_fixed_values_are_those_of_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    shapes = [(6, 2, 3), (4, 9, 2, 5), (3, 5, 1, 2, 3), (9, 1, 2)]
    for shape, groups in [*((shape, 1) for shape in shapes), ((6, 4, 3), 3), ((8, 2, 3, 2), 2)]:
        theirs = torch.nn.init.dirac_(torch.empty(*shape), groups)
        np.testing.assert_array_equal(init.dirac_(pyconv.empty(*shape), groups), theirs)
    np.testing.assert_array_equal(init.eye_(pyconv.empty(3, 5)), np.eye(3, 5))


@pytest.mark.parametrize(
    ("fill", "arguments"),
    [
        (init.dirac_, [pyconv.empty(3, 5)]),
        (init.dirac_, [pyconv.empty(3, 5, 1), 2]),
        (init.eye_, [pyconv.empty(3)]),
    ],
)
def test_shapes_that_have_no_fixed_values(fill, arguments):
    with pytest.raises(ValueError, match="tensor has shape"):
        fill(*arguments)


# ---- clipping ----------------------------------------------------------------------------------


def with_gradients(lib, dtype="float32"):
    rng = np.random.default_rng(0)
    params = [lib.tensor(rng.standard_normal(s).astype(dtype)) for s in [(3, 4), (5,), (1,)]]
    for param in params[:2]:
        param.requires_grad = True
        param.grad = lib.tensor(rng.standard_normal(param.shape).astype(dtype))
    return params


@pytest.mark.torch
@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, math.inf])
@pytest.mark.parametrize("max_norm", [0.1, 100.0])
def test_clipping_is_that_of_pytorch(max_norm, norm_type):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours, theirs = with_gradients(pyconv), with_gradients(torch)
    norm = utils.clip_grad_norm_(ours, max_norm, norm_type)
    other = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert norm.item() == pytest.approx(other.item(), rel=1e-6)
    for a, b in zip(ours[:2], theirs):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-6)
    utils.clip_grad_value_(ours, 0.01)
    torch.nn.utils.clip_grad_value_(theirs, 0.01)
    for a, b in zip(ours[:2], theirs):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-6)


def test_clipping_by_an_unsigned_number():
    (param,) = with_gradients(pyconv)[:1]
    param.grad[...] = -5
    utils.clip_grad_value_(param, np.uint8(2))
    assert (param.grad.numpy() == -2).all()
    utils.clip_grad_value_(param, 1e300)  # infinite in float32
    assert (param.grad.numpy() == -2).all()


def test_clipping_what_is_not_finite():
    params = with_gradients(pyconv)
    before = params[0].grad.numpy().copy()
    params[1].grad[0] = np.inf
    with pytest.raises(RuntimeError, match="norm of the gradients is inf"):
        utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(params[0].grad.numpy(), before)
    assert utils.clip_grad_norm_(params, 1.0).item() == np.inf
    assert not params[0].grad.numpy().any()
    assert utils.clip_grad_norm_([], 1.0).item() == 0
    assert utils.clip_grad_norm_(params[2], 1.0).item() == 0
    with pytest.raises(ValueError, match="norm_type is 0"):
        utils.clip_grad_norm_(params, 1.0, 0)
    with pytest.raises(TypeError, match="norm_type is None"):
        utils.clip_grad_norm_(params, 1.0, None)
    assert utils.clip_grad_norm_(params[0], 1.0, "inf").item() == 0
    with pytest.raises(ValueError, match="clip_value is -1"):
        utils.clip_grad_value_(params, -1)


# ---- vectors -----------------------------------------------------------------------------------


def test_vectors_of_parameters():
    a, b = nn.Linear(3, 2), nn.Linear(3, 2)
    vector = utils.parameters_to_vector(a.parameters())
    utils.vector_to_parameters(vector, b.parameters())
    np.testing.assert_array_equal(a.weight.detach().numpy(), b.weight.detach().numpy())
    (vector * pyconv.arange(8.0)).sum().backward()
    np.testing.assert_array_equal(a.bias.grad.numpy(), [6, 7])
    utils.vector_to_parameters(np.full(8, 1e300), b.parameters())
    assert np.isinf(b.bias.detach().numpy()).all()
    for wrong in (np.zeros(7), np.zeros(9), np.zeros((8, 1))):
        with pytest.raises(ValueError, match="parameters have 8"):
            utils.vector_to_parameters(wrong, b.parameters())
    with pytest.raises(ValueError, match="empty"):
        utils.parameters_to_vector([])


# ---- fusion ------------------------------------------------------------------------------------


def batch_norm(ndim, affine=True, channels=6):
    """Make a batch norm in eval mode, with numbers that are not the first ones."""
    rng = np.random.default_rng(1)
    norm = getattr(nn, f"BatchNorm{ndim}d")(channels, eps=0.1, affine=affine).double().eval()
    for tensor in (*norm.parameters(), norm.running_mean, norm.running_var):
        tensor._array[...] = rng.random(channels)
    return norm


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(
    ("conv", "transpose"),
    [
        (lambda: nn.Conv1d(4, 6, 3, groups=2), False),
        (lambda: nn.Conv2d(4, 6, (3, 2), bias=False, padding=1), False),
        (lambda: nn.ConvTranspose1d(4, 6, 3), True),
        (lambda: nn.ConvTranspose2d(4, 6, 3, groups=2, bias=False), True),
    ],
)
def test_fused_layers_compute_the_same(conv, transpose, affine):
    layer = conv().double().eval()
    norm = batch_norm(layer.weight.ndim - 2, affine)
    fused = utils.fuse_conv_bn_eval(layer, norm, transpose)
    x = np.random.default_rng(0).standard_normal((2, 4, 7, 8)[: layer.weight.ndim])
    with pyconv.no_grad():
        np.testing.assert_allclose(fused(x).numpy(), norm(layer(x)).numpy(), atol=1e-13)
    assert type(fused) is type(layer)
    assert fused.weight is not layer.weight


def test_fused_layers_of_variances_that_have_no_root():
    conv, norm = nn.Conv2d(1, 2, 1).eval(), nn.BatchNorm2d(2, eps=0).eval()
    norm.running_var[...] = [0, -1]
    fused = utils.fuse_conv_bn_eval(conv, norm).weight.detach().numpy()
    assert np.isinf(fused[0]).all()
    assert np.isnan(fused[1]).all()


@pytest.mark.parametrize("weight", [True, False])
@pytest.mark.parametrize("bias", [True, False, None])
def test_fused_layers_learn_what_the_convolution_does(weight, bias):
    conv = nn.Conv2d(4, 4, 1, bias=bias is not None).eval()
    conv.weight.requires_grad = weight
    if bias is not None:
        conv.bias.requires_grad = bias
    fused = utils.fuse_conv_bn_eval(conv, batch_norm(2, channels=4))
    assert (fused.weight.requires_grad, fused.bias.requires_grad) == (weight, bool(bias))


def test_what_cannot_be_fused():
    conv, norm = nn.Conv2d(2, 3, 1).eval(), batch_norm(2, channels=3)
    with pytest.raises(ValueError, match="bn is in training mode"):
        utils.fuse_conv_bn_eval(conv, nn.BatchNorm2d(3))
    transposed = nn.ConvTranspose2d(2, 3, 1).eval()
    for layer in (F.relu, nn.ReLU().eval(), norm, transposed):
        with pytest.raises(TypeError, match="conv is a .*, expected one of Conv1d"):
            utils.fuse_conv_bn_eval(layer, norm)
    for layer in (conv, nn.LayerNorm(3).eval(), nn.Identity().eval()):
        with pytest.raises(TypeError, match="bn is a .*, expected one of BatchNorm1d"):
            utils.fuse_conv_bn_eval(conv, layer)
    with pytest.raises(TypeError, match="conv is a Conv2d, expected one of ConvTranspose1d"):
        utils.fuse_conv_bn_eval(conv, norm, transpose=True)
    with pytest.raises(TypeError, match="transpose is 'x'"):
        utils.fuse_conv_bn_eval(conv, norm, transpose="x")
    with pytest.raises(ValueError, match=r"3 output channels, bn.running_mean has shape \(4,\)"):
        utils.fuse_conv_bn_eval(conv, batch_norm(2, channels=4))
    for name in ("running_var", "weight", "bias"):
        other = batch_norm(2, channels=3)
        setattr(other, name, getattr(batch_norm(2, channels=4), name))
        with pytest.raises(ValueError, match=rf"bn.{name} has shape \(4,\)"):
            utils.fuse_conv_bn_eval(conv, other)
    norm.running_mean = None
    with pytest.raises(ValueError, match="no running statistics"):
        utils.fuse_conv_bn_eval(conv, norm)
