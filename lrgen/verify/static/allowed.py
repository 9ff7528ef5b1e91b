"""The names that the policies allow and refuse."""

import ast


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Strict: what may be imported, by module; a name or a pattern of names.
_TENSORS = _words(
    """
    abs absolute acos acosh adaptive_avg_pool1d adaptive_max_pool1d add addbmm addcdiv addcmul addmm addmv addr
    adjoint affine_grid_generator all allclose alpha_dropout amax amin aminmax angle any arange arccos arccosh
    arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort argwhere as_tensor asin asinh atan atan2 atanh
    atleast_1d atleast_2d atleast_3d avg_pool1d baddbmm bartlett_window batch_norm bernoulli bilinear
    binary_cross_entropy_with_logits bincount bitwise_and bitwise_left_shift bitwise_not bitwise_or
    bitwise_right_shift bitwise_xor blackman_window block_diag bmm broadcast_tensors broadcast_to bucketize
    cartesian_prod cat cdist ceil celu channel_shuffle chunk clamp clamp_max clamp_min clip clone column_stack
    combinations complex concat concatenate conj conj_physical constant_pad_nd conv1d conv2d conv3d conv_tbc
    conv_transpose1d conv_transpose2d conv_transpose3d convolution copysign cos cosh cosine_embedding_loss
    cosine_similarity count_nonzero cross ctc_loss cummax cummin cumprod cumsum cumulative_trapezoid deg2rad detach
    diag diag_embed diagflat diagonal diagonal_scatter diff dist div divide dot dropout dropout_ dsplit dstack
    einsum embedding embedding_bag empty empty_like eq equal erf erfc erfinv exp exp2 expm1 eye
    feature_alpha_dropout feature_dropout fix flatten flip fliplr flipud float_power floor floor_divide fmax fmin
    fmod frac frexp frobenius_norm full full_like gather gcd ge gradient greater greater_equal group_norm gt
    hamming_window hann_window hardshrink heaviside hinge_embedding_loss hsplit hstack hypot i0 index_add index_put
    index_reduce index_select inner instance_norm inverse is_complex is_conj is_floating_point is_neg is_nonzero
    is_same_size is_signed isclose isfinite isin isinf isnan isneginf isposinf isreal kaiser_window kl_div kron
    kthvalue layer_norm lcm ldexp le lerp less less_equal lgamma linspace log log10 log1p log2 log_softmax logaddexp
    logaddexp2 logcumsumexp logical_and logical_not logical_or logical_xor logit logspace logsumexp lt
    margin_ranking_loss masked_scatter masked_select matmul matrix_power max max_pool1d max_pool1d_with_indices
    max_pool2d max_pool3d maximum mean median meshgrid min minimum mm moveaxis movedim msort mul multinomial
    multiply mv nan_to_num nanmean nanmedian nanquantile nansum narrow ne neg negative nextafter nonzero
    nonzero_static norm normal not_equal nuclear_norm numel ones ones_like outer pairwise_distance pdist permute
    pinverse pixel_shuffle pixel_unshuffle polar positive pow prelu prod promote_types put quantile rad2deg rand
    rand_like randint randint_like randn randn_like randperm ravel real reciprocal relu relu_ remainder
    repeat_interleave reshape resolve_conj resolve_neg result_type rms_norm roll rot90 round row_stack rrelu rsqrt
    scatter scatter_add scatter_reduce searchsorted select select_scatter selu sgn sigmoid sign signbit sin sinc
    sinh slice_scatter softmax sort split split_with_sizes sqrt square squeeze stack std std_mean sub subtract sum
    svd swapaxes swapdims t take take_along_dim tan tanh tensor tensor_split tensordot threshold tile topk trace
    transpose trapezoid trapz tril tril_indices triplet_margin_loss triu triu_indices true_divide trunc unbind
    unflatten unique unique_consecutive unsqueeze var var_mean vdot view_as_complex view_as_real vsplit vstack where
    xlogy zeros zeros_like
    """
)
_TORCH = _TENSORS | _words(
    """
    Generator Size Tensor autocast bfloat16 bool channels_last complex64 contiguous_format device double dtype
    enable_grad finfo float float16 float32 float64 half iinfo inf inference_mode int int16 int32 int64 int8
    is_grad_enabled is_tensor long memory_format nan no_grad pi preserve_format short strided uint8
    """
)
STRICT_MODULES: dict[str, frozenset[str]] = {
    "torch": _TORCH,
    "torch.nn": _words("[A-Z]*"),
    "torch.nn.functional": _words("[a-z]*"),
    "torch.nn.init": _words("[a-z]*_ calculate_gain"),
    "torch.nn.modules.batchnorm": _words("[A-Z]*"),
    "torch.nn.parameter": _words("Buffer Parameter"),
    "torch.nn.utils": _words(
        "clip_grad_norm_ clip_grad_value_ clip_grads_with_norm_ get_total_norm *_to_vector vector_to_*"
    ),
    "torch.optim": _words("[A-Z]*"),
    "torch.optim.lr_scheduler": _words("[A-Z]*"),
    "torch.optim.optimizer": _words("Optimizer ParamsT"),
    "torch.optim.swa_utils": _words("AveragedModel SWALR get_ema_* get_swa_* update_bn"),
    "torch.utils.data": _words("[A-Z]*"),
    "torch.utils.checkpoint": _words("checkpoint checkpoint_sequential"),
    "torch.amp": _words("GradScaler autocast is_autocast_available"),
    "torch.autograd": _words("grad"),
    "torch.cuda": _words("is_available is_bf16_supported"),
    "torch.distributions": _words("[A-Z]*"),
    "torch.fft": _words("[a-z]*"),
    "torch.linalg": _words("[a-z]*"),
    "torch.special": _words("[a-z]*"),
    "__future__": _words("annotations"),
    "abc": _words("ABC abstractmethod"),
    "bisect": _words("bisect [a-z]*"),
    "collections": _words("Counter OrderedDict defaultdict deque namedtuple"),
    "collections.abc": _words("[A-Z]*"),
    "copy": _words("copy deepcopy"),
    "dataclasses": _words("asdict astuple dataclass field replace"),
    "enum": _words("Enum IntEnum StrEnum auto unique"),
    "fractions": _words("Fraction"),
    "functools": _words("cache cached_property lru_cache partial reduce wraps"),
    "itertools": _words("[a-z]*"),
    "lightning": _words("LightningModule"),
    "lightning.pytorch": _words("LightningModule"),
    "math": _words("[a-z]*"),
    "numbers": _words("[A-Z]*"),
    "pytorch_lightning": _words("LightningModule"),
    "statistics": _words("fmean mean median pstdev stdev"),
    "typing": _words("[A-Z]* cast final overload override"),
}
# Names of modules that other modules have as attributes.
PARTS_OF_MODULES = _words("np numpy torch")
STRICT_BUILTINS = _words(
    """
    abs all any bool callable complex dict divmod enumerate filter float format frozenset getattr hasattr int isinstance
    issubclass iter len list map max min next object pow print property range repr reversed round set setattr slice
    sorted staticmethod classmethod str sum super tuple type zip __name__ Ellipsis NotImplemented
    ArithmeticError AssertionError AttributeError Exception IndexError KeyError LookupError NotImplementedError
    OverflowError RuntimeError StopIteration TypeError UserWarning ValueError Warning ZeroDivisionError
    """
)
# Built-in functions that may be called and not be passed on: by lemur, and by strict as well.
ONLY_CALLED = _words("delattr getattr setattr")
STRICT_ONLY_CALLED = _words("hasattr super type")
STRICT_DECORATORS = _words(
    """
    abc.abstractmethod builtins.classmethod builtins.property builtins.staticmethod dataclasses.dataclass
    functools.cache functools.cached_property functools.lru_cache functools.wraps torch.enable_grad
    torch.inference_mode torch.no_grad typing.final typing.overload typing.override
    """
)
STRICT_BASES = _words(
    """
    abc.ABC builtins.Exception builtins.RuntimeError builtins.ValueError builtins.object enum.Enum enum.IntEnum
    enum.StrEnum lightning.LightningModule lightning.pytorch.LightningModule pytorch_lightning.LightningModule
    torch.nn.Module torch.optim.Optimizer torch.optim.optimizer.Optimizer typing.Generic
    typing.NamedTuple typing.Protocol typing.TypedDict
    """
)
STRICT_BASE_MODULES = ("torch.nn.", "torch.optim.", "torch.utils.data.")
STRICT_METHODS = _words(
    "__call__ __enter__ __exit__ __getitem__ __init__ __iter__ __len__ __next__ __post_init__ __repr__ __str__"
)
STRICT_ATTRIBUTES = _words("_last_lr __name__")
# Classes that may have private attributes of their own, and the private names that those have already.
OWNERS = _words("builtins.object torch.optim.lr_scheduler.LRScheduler torch.optim.lr_scheduler.LambdaLR")
PRIVATE_OF_OWNERS = _words(
    """
    _get_closed_form_lr _get_lr_called_within_step _initial_step _is_initial _last_lr _step_count _update_lr
    _wrapped_by_lr_sched
    """
)
# Attributes of other objects than self that may be assigned: data, and no methods.
STRICT_TARGETS = _words("bias eps grad inplace last_epoch momentum p requires_grad schedule training weight")
STRICT_NODES: tuple[type[ast.AST], ...] = (
    *(ast.Module, ast.FunctionDef, ast.ClassDef, ast.Return, ast.Delete, ast.Assign, ast.AugAssign, ast.AnnAssign),
    *(ast.For, ast.While, ast.If, ast.With, ast.Raise, ast.Try, ast.Assert, ast.Import, ast.ImportFrom, ast.Expr),
    *(ast.Pass, ast.Break, ast.Continue, ast.BoolOp, ast.NamedExpr, ast.BinOp, ast.UnaryOp, ast.Lambda, ast.IfExp),
    *(ast.Dict, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Yield, ast.YieldFrom),
    *(ast.Compare, ast.Call, ast.FormattedValue, ast.JoinedStr, ast.Constant, ast.Attribute, ast.Subscript),
    *(ast.Starred, ast.Name, ast.List, ast.Tuple, ast.Slice, ast.expr_context, ast.boolop, ast.operator, ast.unaryop),
    *(ast.Match, ast.match_case, ast.MatchValue, ast.MatchSingleton, ast.MatchOr, ast.MatchAs),
    *(ast.cmpop, ast.comprehension, ast.ExceptHandler, ast.arguments, ast.arg, ast.keyword, ast.alias, ast.withitem),
)
ANNOTATION_NODES: tuple[type[ast.AST], ...] = (
    *(ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.Tuple, ast.List, ast.BinOp, ast.BitOr),
    *(ast.expr_context, ast.Starred, ast.UnaryOp, ast.USub),
)

# Lemur: modules that no training file needs are not in this list.
LEMUR_MODULES = _words(
    """
    __future__ abc argparse array base64 bisect calendar cmath collections contextlib contextvars copy csv dataclasses
    datetime decimal difflib enum errno fractions functools gzip hashlib heapq inspect io itertools json keyword locale
    logging math numbers operator os pathlib pickle platform pprint queue random re secrets shutil statistics string
    struct sys tempfile textwrap time timeit traceback types typing unicodedata uuid warnings weakref zlib
    """
)
# Modules of which a training file needs a part; a pattern of paths.
LEMUR_PARTS: dict[str, tuple[str, ...]] = {
    "gzip": (),
    "inspect": ("inspect.signature", "inspect.is*", "inspect.Parameter*", "inspect.getfullargspec", "inspect.getdoc"),
    "io": ("io.BytesIO", "io.StringIO"),
    "logging": ("logging.[A-Z]*", "logging.getLogger", "logging.basicConfig", "logging.info", "logging.warning"),
    "operator": ("operator.[a-z]*",),
    "os": ("os.path*", "os.environ*", "os.getenv", "os.cpu_count", "os.sep", "os.name", "os.linesep", "os.getcwd"),
    "pickle": (),
    "shutil": (),
    "sys": ("sys.version*", "sys.maxsize", "sys.platform", "sys.float_info*", "sys.argv", "sys.stdout*", "sys.stderr*"),
    "tempfile": (),
    "traceback": ("traceback.print_exc", "traceback.format_exc"),
    "types": ("types.SimpleNamespace", "types.MappingProxyType", "types.MethodType", "types.NoneType"),
    "typing": (
        "typing.[*]",
        "typing.[*]",
        "typing.[A-Z]*",
        "typing.cast",
        "typing.final",
        "typing.no*",
        "typing.over*",
        "typing.runtime_checkable",
    ),
}
# Parts of torch that change how every file's code runs, start processes or build programs.
LEMUR_DENIED_TORCH = (
    *("torch.utils.cpp_extension", "torch.utils._python_dispatch", "torch.multiprocessing", "torch.package"),
    *("torch.overrides", "torch.library", "torch.ops.load_library", "torch.classes", "torch._C._set", "torch.testing"),
)
# Modules that other modules have as attributes.
HIDDEN_MODULES = _words(
    """
    atexit builtins ctypes gc http importlib inspect io linecache marshal os pickle pkgutil runpy shutil signal socket
    subprocess sys tempfile threading traceback types urllib weakref
    """
)
TORCH_NAMES = _words("signal types")
LEMUR_DENIED_BUILTINS = _words(
    """
    __builtins__ __import__ __loader__ __spec__ breakpoint compile eval exec exit globals help input open quit
    """
)
LEMUR_DENIED_OBJECTS = _words("operator.attrgetter operator.methodcaller")
# Settings of torch that a training file may change while it runs.
LEMUR_TARGETS = ("torch.backends.",)
# Methods that nobody replaces on an object of another class.
PROTECTED = _words(
    """
    __call__ backward eval forward get_last_lr get_lr learn load_state_dict named_parameters param_groups parameters
    state_dict step train train_setup zero_grad
    """
)
LEMUR_PROTECTED = _words("backward load_state_dict state_dict step zero_grad")
DENIED_SPECIAL_METHODS = _words(
    """
    __class__ __del__ __getattribute__ __instancecheck__ __mro_entries__ __prepare__ __reduce__ __reduce_ex__
    __subclasscheck__ __subclasshook__ __torch_dispatch__ __torch_function__
    """
)
NUMBERS = _words("builtins.bool builtins.complex builtins.float builtins.int decimal.Decimal fractions.Fraction")
TENSORS = _words(
    "torch.Tensor torch.nn.Parameter torch.nn.parameter.Parameter torch.nn.Buffer torch.nn.parameter.Buffer"
)
CONTAINERS = _words(
    """
    builtins.dict builtins.frozenset builtins.list builtins.set builtins.str builtins.tuple builtins.bytes
    collections.ChainMap collections.Counter collections.OrderedDict collections.UserDict collections.UserList
    collections.UserString collections.defaultdict collections.deque
    """
)
LOOKUPS = _words(
    """
    __contains__ __eq__ __getitem__ __hash__ __iter__ __len__ __missing__ __ne__ get items keys pop setdefault values
    """
)
METACLASSES = _words("abc.ABCMeta enum.EnumMeta enum.EnumType")

# Attributes through which code reaches frames, the names of other modules or the classes of Python.
DENIED_ATTRIBUTES = _words(
    """
    __base__ __bases__ __builtins__ __closure__ __code__ __getattribute__ __globals__ __import__ __loader__ __mro__
    __reduce__ __reduce_ex__ __spec__ __subclasses__ __traceback__ _getframe _current_frames ag_frame ag_code cr_frame
    cr_code cr_origin f_back f_builtins f_code f_globals f_locals f_trace gi_code gi_frame gi_yieldfrom mro tb_frame
    tb_lasti tb_next with_traceback settrace setprofile currentframe
    """
)
# Attributes that reach memory and files past torch's interface.
STRICT_DENIED_ATTRIBUTES = _words(
    """
    apply_ ctypes data_ptr dump dumps from_file map2_ map_ numpy set_ share_memory share_memory_ storage
    tofile typed_storage untyped_storage
    """
)
LEMUR_DENIED_ATTRIBUTES = _words("from_file tofile read_bytes write_bytes write_text unlink symlink_to hardlink_to")
PRIVATE_HOOKS = _words("profile_hook_step")
REGISTRATIONS = _words("register_buffer register_module register_parameter")
