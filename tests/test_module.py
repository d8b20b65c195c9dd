"""Modules as PyTorch has them: what they hold, hooks, copies, containers."""

from __future__ import annotations

import copy
import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest

import pyconv
from pyconv import nn


class Tied(nn.Module):
    """One weight under two names, and one module under two."""

    def __init__(self):
        super().__init__()
        self.encode, self.decode = nn.Linear(3, 3), nn.Linear(3, 3)
        self.decode.weight = self.encode.weight
        self.again = self.encode
        self.register_buffer("steps", pyconv.tensor(0))
        self.register_buffer("scratch", pyconv.zeros(1), persistent=False)

    def forward(self, x):
        return self.decode(self.again(self.encode(x)))


SHARED = {"encode.weight", "decode.weight", "again.weight"}


# ---- what a module holds -----------------------------------------------------------------------


def test_shared_parameters_are_counted_once():
    net = Tied()
    assert [name for name, _ in net.named_parameters()] == [
        "encode.weight", "encode.bias", "decode.bias",
    ]  # fmt: skip
    assert len(list(net.named_parameters(remove_duplicate=False))) == 6
    assert len(list(net.modules())) == 3
    assert [n for n, _ in net.named_modules(remove_duplicate=False)][-1] == "again"
    assert [n for n, _ in net.named_children()] == ["encode", "decode"]
    visited = []
    assert net.apply(visited.append) is net
    assert visited == [net.encode, net.decode, net]
    assert net.state_dict().keys() >= SHARED
    assert "scratch" not in net.state_dict()


@pytest.mark.parametrize("remake", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_share_what_the_original_shares(remake):
    net = Tied().eval()
    twin = remake(net)
    assert twin.decode.weight is twin.encode.weight
    assert twin.again is twin.encode
    assert twin.encode.weight is not net.encode.weight
    assert not twin.training
    assert not np.shares_memory(twin.encode.weight._array, net.encode.weight._array)
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(twin(x).detach().numpy(), net(x).detach().numpy())
    assert twin.state_dict().keys() == net.state_dict().keys()


def test_copies_of_hooks_are_independent():
    net = nn.Identity()
    handle = net.register_forward_hook(lambda module, args, output: output + 1)
    twin = copy.deepcopy(net)
    handle.remove()
    assert (net(pyconv.ones(1)).item(), twin(pyconv.ones(1)).item()) == (1, 2)


def test_names_change_their_kind():
    net = Tied()
    net.scratch = None  # stays a buffer, and stays unsaved
    net.scratch = pyconv.ones(1)
    assert "scratch" in dict(net.named_buffers())
    assert "scratch" not in net.state_dict()
    del net.scratch
    net.scratch = nn.Parameter([1.0])
    assert "scratch" in net.state_dict()
    for name, value in [
        ("encode", 3),
        ("steps", 1.0),
        ("scratch", pyconv.ones(1)),
        ("scratch", nn.ReLU()),
    ]:
        with pytest.raises(TypeError, match=f"{name} is a .*, cannot become"):
            setattr(net, name, value)
    net.encode = nn.Identity()
    assert "encode.weight" not in net.state_dict()


def test_what_is_replaced_keeps_its_place():
    net = nn.Module()
    net.first, net.last = nn.Linear(2, 2), nn.Linear(2, 2)
    net.first.weight = nn.Parameter(pyconv.ones(2, 2))
    assert list(net.state_dict()) == ["first.weight", "first.bias", "last.weight", "last.bias"]
    net.first = nn.Identity()
    assert [name for name, _ in net.named_children()] == ["first", "last"]


@pytest.mark.parametrize(
    ("register", "error"),
    [
        (lambda m: m.register_parameter("p", pyconv.ones(1)), TypeError),
        (lambda m: m.register_buffer("p", np.ones(1)), TypeError),
        (lambda m: m.add_module("p", 3), TypeError),
        (lambda m: m.add_module(3, nn.Identity()), TypeError),
        (lambda m: m.register_buffer("encode", None), ValueError),
        (lambda m: m.get_submodule("encode.weight"), AttributeError),
        (lambda m: m.get_submodule("other"), AttributeError),
        (lambda m: m.get_submodule(3), TypeError),
        (lambda m: m.get_parameter(3), TypeError),
        (lambda m: m.get_parameter("steps"), AttributeError),
        (lambda m: m.get_buffer("encode.weight"), AttributeError),
        (lambda m: m.to(device="cuda"), ValueError),
        (lambda m: m.to("int32"), TypeError),
        (lambda m: m.to("cuda"), ValueError),
    ],
)
def test_what_cannot_be_registered_or_found(register, error):
    with pytest.raises(error):
        register(Tied())


def test_get_submodule_and_types():
    net = nn.Sequential(Tied())
    assert net.get_submodule("") is net
    assert net.get_submodule("0.encode") is net[0].encode
    assert net.get_parameter("0.encode.weight") is net[0].encode.weight
    assert net.get_buffer("0.steps") is net[0].steps
    assert net.double()[0].encode.weight.dtype == np.float64
    assert net[0].steps.dtype == np.int64
    assert net[0].decode.weight is net[0].encode.weight
    assert net.float()[0].encode.weight.dtype == np.float32
    assert net.to("cpu") is net.to("cpu", np.float64)
    assert net[0].encode.weight.dtype == np.float64


# ---- state dicts -------------------------------------------------------------------------------


def test_a_state_dict_that_does_not_fit_changes_nothing():
    net = Tied()
    before = {name: np.array(value) for name, value in net.state_dict().items()}
    state = {name: value + 1 for name, value in before.items()}
    state["steps"] = np.float32(1.5)
    with pytest.raises(ValueError, match="dtype of steps: float32 in the state dict, int64"):
        net.load_state_dict(state)
    for wrong in ([1], None, {1: np.ones(1)}):
        with pytest.raises(TypeError, match="state_dict is a"):
            net.load_state_dict(wrong)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    state["steps"] = 7
    net.scratch._array.flags.writeable = False  # it is not saved, and may be
    net.steps._array.flags.writeable = False
    with pytest.raises(ValueError, match="steps is read-only"):
        net.load_state_dict(state)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    net.steps._array.flags.writeable = True
    assert net.load_state_dict(state) == ([], [])
    assert net.steps.item() == 7


def test_values_beyond_a_dtype_are_infinite():
    net = nn.Linear(1, 1)
    net.load_state_dict({"weight": np.full((1, 1), 1e300), "bias": np.ones(1)})
    assert net.weight.item() == np.inf
    twin = nn.Linear(1, 1).double()
    twin.weight._array[...] = 1e300
    assert twin.float().weight.item() == np.inf


# ---- hooks -------------------------------------------------------------------------------------


def test_forward_pre_hooks_change_arguments():
    net = nn.Identity()
    one = net.register_forward_pre_hook(lambda module, args: args[0] + 1)
    net.register_forward_pre_hook(lambda module, args: (args[0] * 3,))
    assert net(pyconv.ones(1)).item() == 6
    one.remove()
    assert net(pyconv.ones(1)).item() == 3


def test_backward_hooks_see_and_change_gradients():
    net, seen = nn.Linear(2, 1, bias=False), []
    handle = net.register_full_backward_hook(lambda *args: seen.append(args))
    double = net.register_full_backward_hook(lambda module, gi, go: (gi[0] * 2,))
    x = pyconv.ones(3, 2, requires_grad=True)
    net(x).sum().backward()
    ((module, (grad_input,), (grad_output,)),) = seen
    assert module is net
    assert grad_output.numpy().tolist() == [[1]] * 3
    weight = net.weight.detach().numpy()
    np.testing.assert_array_equal(grad_input.numpy(), np.repeat(weight, 3, 0))
    np.testing.assert_array_equal(x.grad.numpy(), 2 * grad_input.numpy())
    np.testing.assert_array_equal(net.weight.grad.numpy(), [[3, 3]])
    for h in (handle, double):
        h.remove()
    net(x).sum().backward()
    assert len(seen) == 1


def test_backward_hooks_without_a_gradient_of_the_input():
    net, seen = nn.Linear(2, 1), []
    net.register_full_backward_hook(lambda module, gi, go: seen.append((gi, len(go))))
    net(np.ones((1, 2), np.float32)).sum().backward()
    assert seen == [((None,), 1)]
    with pyconv.no_grad():
        net(pyconv.ones(1, 2, requires_grad=True))


def test_backward_hooks_see_none_for_results_without_gradient():
    class Pair(NamedTuple):
        count: Any
        twice: Any

    class Both(nn.Module):
        def forward(self, x):
            return Pair(pyconv.tensor([1]), x * 2)

    seen = []
    for net in (Both(), nn.LSTM(1, 1)):
        net.register_full_backward_hook(lambda module, gi, go: seen.append(go))
        result = net(pyconv.ones(1, 1, requires_grad=True))
        (result.twice if isinstance(net, Both) else result[0]).sum().backward()
    assert [[g is None for g in grads] for grads in seen] == [[True, False], [False, True]]


def test_backward_hooks_agree_with_pytorch():
    torch = pytest.importorskip("torch")
    results = []
    for lib in (torch, pyconv):

        class Two(lib.nn.Module):
            def forward(self, x, y):
                return x * y, x + 1

        net, seen = Two(), []

        def hook(module, grad_input, grad_output, seen=seen):
            seen.append([0 if g is None else g.item() for g in (*grad_input, *grad_output)])

        net.register_full_backward_hook(hook)
        x, y = (lib.tensor([v], requires_grad=True) for v in (2.0, 3.0))
        a, b = net(x, y)
        (a * 5 + b).sum().backward()
        a, b = net(x, y)
        b.sum().backward()
        results.append(seen)
    assert results[0] == results[1] == [[16, 10, 5, 1], [1, 0, 0, 1]]


def test_backward_hooks_see_the_gradients_of_their_own_pass():
    """None are called where a gradient comes by another way than through the results."""

    class Two(nn.Module):
        def forward(self, x):
            return x * x, [x * 3]

    net, seen = Two(), []
    net.register_full_backward_hook(lambda module, gi, go: seen.append([*gi, *go]))
    x = pyconv.ones(1, requires_grad=True)
    a, (b,) = net(x)
    (a * 5).sum().backward(retain_graph=True)
    assert [None if g is None else g.item() for g in seen.pop()] == [10, 5, None]
    b.sum().backward()
    (grad,) = pyconv.autograd.grad(net(x)[0].sum(), x, create_graph=True)
    seen.clear()
    grad.sum().backward()
    assert not seen


def test_a_backward_hook_that_returns_too_much():
    net = nn.Identity()
    net.register_full_backward_hook(lambda module, gi, go: (gi[0], gi[0]))
    with pytest.raises(ValueError, match="2 gradients for 1 arguments"):
        net(pyconv.ones(1, requires_grad=True)).backward()


@pytest.mark.parametrize(
    ("returned", "found"),
    [("text", "str"), (np.ones((1, 2)), "ndarray"), (pyconv.ones(2), r"\(2,\)")],
)
def test_a_backward_hook_that_returns_no_gradient(returned, found):
    net = nn.Identity()
    net.register_full_backward_hook(lambda module, gi, go: returned)
    result = net(pyconv.ones(1, 2, requires_grad=True)).sum()
    with pytest.raises(ValueError, match=rf"hook of Identity returned {found} for .* \(1, 2\)"):
        result.backward()


# ---- containers --------------------------------------------------------------------------------


def numbered(kind, count=4):
    return kind(*map(Named, range(count))) if kind is nn.Sequential else kind(map(Named, range(4)))


class Named(nn.Identity):
    def __init__(self, name):
        super().__init__()
        self.name = name


def names(modules):
    return [module.name for module in modules]


@pytest.mark.parametrize("kind", [nn.Sequential, nn.ModuleList])
def test_numbered_containers(kind):
    net = numbered(kind)
    assert names(net[1:3]) == [1, 2]
    assert isinstance(net[::2], kind)
    assert net[-1].name == 3
    net[0] = Named("first")
    del net[1]
    assert list(net._modules) == ["0", "1", "2"]
    net.insert(1, Named("second")).append(Named("last")).extend([Named("end")])
    assert names(net) == ["first", "second", 2, 3, "last", "end"]
    assert names(net[3:].append(Named("new"))) == [3, "last", "end", "new"]
    net += [Named("more")]
    assert net.pop(-1).name == "more"
    assert names(net.pop(slice(4, 6))) == ["last", "end"]
    assert names(net) == ["first", "second", 2, 3]
    assert names(net.extend(net)) == ["first", "second", 2, 3] * 2
    for use in (
        lambda: net[9],
        lambda: net.__setitem__(9, Named(1)),
        lambda: net.__delitem__(-9),
        lambda: net.insert(9, Named(1)),
    ):
        with pytest.raises(IndexError, match="index is -?9, there are 8 modules"):
            use()
    for use in (lambda: net["0"], lambda: net.append(3), lambda: net.__setitem__(0, None)):
        with pytest.raises(TypeError):
            use()


@pytest.mark.parametrize("kind", [nn.Sequential, nn.ModuleList])
def test_sum_of_containers(kind):
    net, more = numbered(kind)[2:] + numbered(nn.Sequential, 1), [Named("new")]
    assert type(net) is kind
    assert names(net) == [2, 3, 0]
    assert list(net._modules) == ["0", "1", "2"]
    assert names(numbered(kind) + more)[3:] == [3, "new"]


def test_module_dict():
    heads = nn.ModuleDict([("a", nn.Linear(1, 1)), ("b", nn.Identity())])
    assert list(heads) == list(heads.keys()) == ["a", "b"]
    assert "a" in heads
    assert list(nn.Sequential(heads).state_dict()) == ["0.a.weight", "0.a.bias"]
    heads.update({"b": nn.ReLU(), "c": nn.ReLU()})
    assert [type(m).__name__ for m in heads.values()] == ["Linear", "ReLU", "ReLU"]
    assert heads.pop("a").in_features == 1
    del heads["b"]
    assert [key for key, _ in heads.items()] == ["c"]
    assert len(nn.ModuleDict(None)) == len(nn.ModuleList(None)) == 0
    heads.clear()
    assert not len(heads)
    with pytest.raises(TypeError, match="int"):
        heads["x"] = 3
    with pytest.raises(ValueError, match="'keys'"):
        heads["keys"] = nn.ReLU()


def test_residual_and_unflatten():
    net = nn.Residual(nn.Linear(2, 2, bias=False))
    x = np.ones((3, 2), np.float32)
    expected = x + x @ net.f.weight.detach().numpy().T
    np.testing.assert_allclose(net(x).detach().numpy(), expected, rtol=1e-6)
    split = nn.Unflatten(1, (2, -1))
    assert split(pyconv.zeros(5, 6)).shape == (5, 2, 3)
    assert nn.Unflatten(-1, (0, 3))(pyconv.zeros(4, 0)).shape == (4, 0, 3)
    assert repr(split) == "Unflatten(dim=1, unflattened_size=(2, -1))"
    for dim, sizes in [(1, (4, -1)), (1, (2, 2)), (2, (6,)), (1, (-1, -1)), (1, (0, -1))]:
        with pytest.raises(ValueError, match="Unflatten"):
            nn.Unflatten(dim, sizes)(pyconv.zeros(5, 6))


def _twice(module, args, output):
    return output * 2


def test_copies_of_a_module_have_handles_of_their_own():
    module = nn.Sequential(nn.Linear(2, 2))
    module.handle = module[0].register_forward_hook(_twice)
    for copied in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert len(copied[0]._forward_hooks) == 1
        copied.handle.remove()
        assert not copied[0]._forward_hooks
    assert len(module[0]._forward_hooks) == 1
