"""Types of the compiled module: arguments by position; docstrings are in the Python layer."""

from typing import Any, final

from numpy.typing import NDArray
from typing_extensions import disjoint_base

from .tensor import Tensor

__version__: str

_Array = NDArray[Any]
_Ints = int | tuple[int, ...]

# ---- core: instruction sets, threads, memory, the choice of algorithms -------------------------

def isa() -> str: ...
def available_isas() -> list[str]: ...
def compiled_isas() -> list[str]: ...
def set_isa(name: str, /) -> None: ...
def set_num_threads(n: int, /) -> None: ...
def get_num_threads() -> int: ...
def available_cores() -> int: ...
def caches() -> dict[str, int]: ...
def build_info() -> dict[str, str]: ...
def memory_stats() -> dict[str, int]: ...
def reset_peak_memory_stats() -> None: ...
def empty_cache() -> None: ...
def begin_rehearsal() -> None: ...
def end_rehearsal() -> int: ...
def empty(shape: tuple[int, ...], dtype: Any, /) -> _Array: ...

class Unchanging:
    def __init__(self, array: _Array, /) -> None: ...

def in_c_order(array: _Array, /) -> _Array: ...
def copy(array: _Array, /) -> _Array: ...
def reshape_forward(ctx: Any, x: Any, shape: tuple[int, ...], /) -> Any: ...
def cat(arrays: list[_Array], dim: int, /) -> _Array: ...
def set_strict_precision(strict: bool, /) -> None: ...
def strict_precision() -> bool: ...
def force_algorithm(op: str, name: str | None, /) -> str | None: ...
def log_algorithms(on: bool) -> None: ...
def logged_algorithms() -> list[str]: ...
def algorithm_names(op: str, /) -> list[str]: ...
def measure_peak(kind: str, seconds: float, /) -> float: ...

# ---- autograd ----------------------------------------------------------------------------------

@disjoint_base
class TensorBase:
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

@disjoint_base
class NodeBase:
    def save_for_backward(self, *tensors: Any) -> None: ...
    @property
    def saved_tensors(self) -> tuple[Any, ...]: ...
    @property
    def _function(self) -> Any: ...
    @property
    def needs_input_grad(self) -> tuple[bool, ...]: ...
    @property
    def _edges(self) -> tuple[Any, ...]: ...
    @property
    def _outputs(self) -> tuple[Any, ...]: ...
    @property
    def _sequence(self) -> int: ...

@final
class GraphState:
    @property
    def enabled(self) -> bool: ...
    @enabled.setter
    def enabled(self, value: bool) -> None: ...
    @property
    def segment(self) -> Any: ...
    @segment.setter
    def segment(self, value: Any) -> None: ...
    @property
    def observer(self) -> Any: ...
    @observer.setter
    def observer(self, value: Any) -> None: ...

def set_tensor_class(cls: type, /) -> None: ...
def set_node_class(cls: type, /) -> None: ...
def apply(function: Any, /, *args: Any) -> Any: ...
def set_apply_in_float32(function: Any, /) -> None: ...
def edge_of(tensor: Any, /) -> Any: ...
def is_of_leaf(tensor: Any, /) -> bool: ...
def version_of(tensor: Any, /) -> list[int]: ...
def view_of(tensor: Any, array: _Array, /) -> Tensor: ...
def walk(run: Any, starts: list[Any], retain_graph: bool, create_graph: bool, /) -> None: ...

# ---- gemm --------------------------------------------------------------------------------------

def matmul(a: _Array, b: _Array, bias: _Array | None, /) -> _Array: ...
def matmul_forward(ctx: Any, a: Any, b: Any, /) -> Any: ...
def linear_forward(ctx: Any, input: Any, weight: Any, bias: Any, /) -> Any: ...
def matmul_explain(a: _Array, b: _Array, /) -> list[dict[str, Any]]: ...

# ---- conv --------------------------------------------------------------------------------------

class ConvShape:
    @property
    def ndim(self) -> int: ...
    @property
    def batch(self) -> int: ...
    @property
    def in_channels(self) -> int: ...
    @property
    def out_channels(self) -> int: ...
    @property
    def groups(self) -> int: ...
    @property
    def input(self) -> tuple[int, int, int]: ...
    @property
    def kernel(self) -> tuple[int, int, int]: ...
    @property
    def output(self) -> tuple[int, int, int]: ...
    @property
    def stride(self) -> tuple[int, int, int]: ...
    @property
    def padding(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]: ...
    @property
    def dilation(self) -> tuple[int, int, int]: ...
    @property
    def flops(self) -> int: ...

def conv_shape(
    ndim: int,
    input: tuple[int, ...],
    weight: tuple[int, ...],
    stride: _Ints,
    padding: _Ints | str,
    dilation: _Ints,
    groups: int,
    /,
) -> ConvShape: ...
def conv_transpose_shape(
    ndim: int,
    input: tuple[int, ...],
    weight: tuple[int, ...],
    stride: _Ints,
    padding: _Ints,
    output_padding: _Ints,
    groups: int,
    dilation: _Ints,
    /,
) -> ConvShape: ...
def conv_forward(
    ndim: int,
    input: _Array,
    weight: _Array,
    bias: _Array | None,
    stride: _Ints,
    padding: _Ints | str,
    dilation: _Ints,
    groups: int,
    /,
) -> tuple[_Array, ConvShape]: ...
def conv_transpose_forward(
    ndim: int,
    input: _Array,
    weight: _Array,
    bias: _Array | None,
    stride: _Ints,
    padding: _Ints,
    output_padding: _Ints,
    groups: int,
    dilation: _Ints,
    /,
) -> tuple[_Array, ConvShape]: ...
def conv_backward_input(shape: ConvShape, grad_output: _Array, weight: _Array, /) -> _Array: ...
def conv_backward_weight(shape: ConvShape, grad_output: _Array, input: _Array, /) -> _Array: ...
def conv_explain(
    shape: ConvShape, direction: str, dtype: Any, channels_last: bool = False, /
) -> list[dict[str, Any]]: ...
def unfold(
    input: _Array, kernel_size: _Ints, dilation: _Ints, padding: _Ints, stride: _Ints, /
) -> _Array: ...
def fold(
    input: _Array,
    output_size: _Ints,
    kernel_size: _Ints,
    dilation: _Ints,
    padding: _Ints,
    stride: _Ints,
    /,
) -> _Array: ...

# ---- pool --------------------------------------------------------------------------------------

class PoolShape: ...

def max_pool(
    ndim: int,
    input: _Array,
    kernel_size: _Ints,
    stride: _Ints | None,
    padding: _Ints,
    dilation: _Ints,
    ceil_mode: bool,
    with_indices: bool,
    /,
) -> tuple[_Array, _Array | None, PoolShape]: ...
def adaptive_max_pool(
    ndim: int, input: _Array, output_size: Any, with_indices: bool, /
) -> tuple[_Array, _Array | None, PoolShape]: ...
def max_pool_backward(shape: PoolShape, grad_output: _Array, indices: _Array, /) -> _Array: ...
def max_unpool(
    ndim: int,
    input: _Array,
    indices: _Array,
    kernel_size: _Ints,
    stride: _Ints | None,
    padding: _Ints,
    output_size: tuple[int, ...] | None,
    /,
) -> tuple[_Array, PoolShape]: ...
def take_places(shape: PoolShape, input: _Array, indices: _Array, /) -> _Array: ...
def avg_pool(
    ndim: int,
    input: _Array,
    kernel_size: _Ints,
    stride: _Ints | None,
    padding: _Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
    /,
) -> tuple[_Array, Separable]: ...
def adaptive_avg_pool(
    ndim: int, input: _Array, output_size: Any, /
) -> tuple[_Array, Separable]: ...

# ---- pad ---------------------------------------------------------------------------------------

def pad(
    input: _Array, widths: tuple[tuple[int, int], ...], mode: str, value: _Array, /
) -> _Array: ...
def pad_backward(
    grad_output: _Array, widths: tuple[tuple[int, int], ...], mode: str, /
) -> _Array: ...

# ---- separable: average pooling and resizing ---------------------------------------------------

class Separable: ...

def separable_apply(map: Separable, array: _Array, transposed: bool, /) -> _Array: ...
def resize(
    input: _Array, size: _Ints, scale: tuple[float, ...], mode: str, align_corners: bool, /
) -> tuple[_Array, Separable]: ...
def c_ordered(array: _Array, /) -> _Array: ...

# ---- norm --------------------------------------------------------------------------------------

def norm_forward(
    op: str,
    input: _Array,
    running_mean: _Array | None,
    running_var: _Array | None,
    weight: _Array | None,
    bias: _Array | None,
    groups: int | None,
    own: bool,
    momentum: float,
    eps: float,
    relu: bool,
    /,
) -> tuple[_Array, _Array, _Array]: ...
def norm_backward(
    op: str,
    grad_output: _Array,
    input: _Array,
    weight: _Array | None,
    bias: _Array | None,
    groups: int | None,
    mean: _Array,
    variance: _Array,
    own: bool,
    eps: float,
    relu: bool,
    params: bool,
    /,
) -> tuple[_Array, _Array | None, _Array | None]: ...
def layer_norm_forward(
    input: _Array, dims: int, weight: _Array | None, bias: _Array | None, eps: float, /
) -> tuple[_Array, _Array, _Array]: ...
def layer_norm_backward(
    grad_output: _Array,
    input: _Array,
    dims: int,
    weight: _Array | None,
    mean: _Array,
    rstd: _Array,
    /,
) -> tuple[_Array, _Array, _Array]: ...
def response_forward(
    input: _Array, before: int, after: int, scale: float, beta: float, k: float, /
) -> _Array: ...
def response_backward(
    grad_output: _Array,
    input: _Array,
    before: int,
    after: int,
    scale: float,
    beta: float,
    k: float,
    /,
) -> _Array: ...

# ---- binary cross entropy ----------------------------------------------------------------------

def binary_loss_forward(logits: bool, input: _Array, target: _Array, /) -> tuple[_Array, bool]: ...
def binary_loss_backward(
    logits: bool, grad_output: _Array, input: _Array, target: _Array, /
) -> _Array: ...

# ---- dropout, embedding ------------------------------------------------------------------------

def dropout(input: _Array, p: float, seed: int, /) -> _Array: ...
def dropout_channels(input: _Array, p: float, seed: int, dims: int, /) -> _Array: ...
def embedding_forward(input: _Array, weight: _Array, /) -> tuple[_Array, _Array]: ...
def embedding_backward(
    grad_output: _Array, input: _Array, rows: int, padding_idx: int, /
) -> _Array: ...
def unary_index(name: str, /) -> int: ...
def unary_forward(index: int, input: _Array, a: float, b: float, /) -> _Array: ...
def unary_function(kernel: str, gradient: Any, from_output: bool, /) -> tuple[Any, Any]: ...
def arithmetic_function(op: int, of_numpy: Any, /) -> Any: ...
def apply_to_pair(function: Any, pair: Any, input: Any, other: Any, /) -> Tensor: ...
def arithmetic(op: int, input: _Array | float, other: _Array | float, /) -> _Array: ...
def sum_forward(input: _Array, dims: tuple[int, ...], keepdim: bool, /) -> _Array: ...
def expand(input: _Array, shape: tuple[int, ...], /) -> _Array: ...
def softmax_forward(log: bool, input: _Array, dim: int, /) -> _Array: ...
def softmax_backward(log: bool, grad_output: _Array, output: _Array, dim: int, /) -> _Array: ...
def extreme(largest: bool, input: _Array, dim: int, with_values: bool, /) -> tuple[_Array, Any]: ...
def extreme_backward(
    grad_output: _Array, places: _Array, shape: tuple[int, ...], dim: int, /
) -> _Array: ...
def cross_entropy_forward(
    input: _Array,
    target: _Array,
    weight: _Array | None,
    ignore_index: int,
    label_smoothing: float,
    reduction: str,
    /,
) -> tuple[_Array, _Array, float]: ...
def cross_entropy_backward(
    grad_loss: _Array,
    log_softmax: _Array,
    target: _Array,
    weight: _Array | None,
    ignore_index: int,
    label_smoothing: float,
    scale: float,
    /,
) -> _Array: ...
def nll_forward(
    input: _Array,
    target: _Array,
    weight: _Array | None,
    ignore_index: int,
    reduction: str,
    /,
) -> tuple[_Array, float]: ...
def nll_backward(
    grad_loss: _Array,
    shape: tuple[int, ...],
    target: _Array,
    weight: _Array | None,
    ignore_index: int,
    scale: float,
    /,
) -> _Array: ...
def difference_loss_forward(
    op: str, input: _Array, target: _Array, beta: float, reduction: str, /
) -> _Array: ...
def difference_loss_backward(
    op: str,
    grad_output: _Array,
    input: _Array,
    target: _Array,
    beta: float,
    reduction: str,
    /,
) -> _Array: ...
def sgd_step(
    params: list[_Array],
    grads: list[_Array],
    momentum_buffers: list[_Array] | None,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
    first_step: bool,
    /,
) -> None: ...
def adam_step(
    params: list[_Array],
    grads: list[_Array],
    exp_avgs: list[_Array],
    exp_avg_sqs: list[_Array],
    max_exp_avg_sqs: list[_Array] | None,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
    step: float,
    /,
) -> None: ...
def rmsprop_step(
    params: list[_Array],
    grads: list[_Array],
    square_avgs: list[_Array],
    momentum_buffers: list[_Array] | None,
    grad_avgs: list[_Array] | None,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    maximize: bool,
    /,
) -> None: ...

# ---- rnn ---------------------------------------------------------------------------------------

def rnn_forward(
    cell: int,
    input: _Array,
    hx: _Array | None,
    cx: _Array | None,
    weight_ih: _Array,
    weight_hh: _Array,
    bias_ih: _Array | None,
    bias_hh: _Array | None,
    weight_hr: _Array | None,
    lengths: _Array | None,
    reverse: bool,
    keep: bool,
    /,
) -> tuple[_Array, _Array, _Array | None, _Array | None, _Array | None, _Array | None]: ...
def rnn_backward(
    cell: int,
    input: _Array,
    hx: _Array | None,
    cx: _Array | None,
    weight_ih: _Array,
    weight_hh: _Array,
    weight_hr: _Array | None,
    lengths: _Array | None,
    reverse: bool,
    output: _Array,
    gates: _Array,
    extra: _Array | None,
    whole: _Array | None,
    grad_output: _Array | None,
    grad_h_n: _Array | None,
    grad_c_n: _Array | None,
    need_input: bool,
    need_states: bool,
    need_weights: bool,
    need_bias: bool,
    /,
) -> tuple[_Array | None, ...]: ...
def rnn_stream_step(
    cell: int,
    layer: bool,
    input: _Array,
    h: _Array | None,
    c: _Array | None,
    weight_ih: _Array,
    weight_hh: _Array,
    bias_ih: _Array | None,
    bias_hh: _Array | None,
    /,
) -> tuple[_Array, ...] | None: ...
