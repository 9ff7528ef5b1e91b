"""Calls that have no effect outside the module that makes them, by the dotted path of what is called.

``import_time`` allows these calls while a file is imported, and no others. A call that draws random numbers is not
among them: it changes the state of a generator that belongs to torch or to Python.
"""

from enum import Enum


class Result(Enum):
    """The result of a harmless call."""

    VALUE = "a number, a text, a constant"
    NEW = "a new object, which holds at most the arguments"
    PART = "one of the arguments, or a part of one"
    TYPE = "a new type, whose calls return new objects"
    DECORATOR = "a decorator that returns what it decorates, or a wrapper of it"
    CALLEE = "the first argument with some of its arguments bound"
    UNKNOWN = "an object that it shares with others"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _table(result: Result, root: str, names: str) -> dict[str, Result]:
    return {f"{root}.{name}": result for name in names.split()}


# Calls that call their first or second argument, and the names of arguments that are called by what they are passed to.
FIRST_CALLED = _words(
    """
    builtins.filter builtins.iter builtins.map collections.defaultdict functools.cmp_to_key functools.reduce
    itertools.dropwhile itertools.filterfalse itertools.starmap itertools.takewhile
    """
)
SECOND_CALLED = _words("itertools.accumulate itertools.groupby re.sub re.subn")
CALLED_KEYWORDS = _words(
    "cls default_factory func function key object_hook object_pairs_hook parse_constant parse_float parse_int repl"
)
# Methods of built-in types and tensors that change nothing but the object itself.
METHODS = _words(
    """
    add append appendleft as_integer_ratio bit_length capitalize casefold center clear copy count decode difference
    discard encode endswith expandtabs extend find findall finditer format format_map fromhex fromkeys fullmatch get
    hex index insert intersection is_integer isalnum isalpha isascii isdecimal isdigit isdisjoint isidentifier islower
    isnumeric isspace issubset issuperset istitle isupper items join keys ljust lower lstrip maketrans match
    most_common move_to_end partition pop popitem popleft remove removeprefix removesuffix replace reverse rfind
    rindex rjust rotate rpartition rsplit rstrip search setdefault sort split splitlines startswith strip sub subn
    subtract swapcase symmetric_difference title total translate union update upper values zfill _asdict _make
    _replace abs bool clamp clone cos cumsum detach dim div double exp expand flatten flip float half int item log
    long mean mul neg numel permute pow prod repeat reshape round sin size sqrt squeeze sum t tan tolist transpose
    unsqueeze view with_suffix with_name joinpath as_posix
    """
)
CALLING_METHODS = frozenset(("sub", "subn"))
# People set these while their file is imported: what is shown, and how exactly and how fast torch computes.
SETTINGS = _words(
    """
    warnings.filterwarnings warnings.simplefilter logging.basicConfig torch.set_float32_matmul_precision
    torch.set_printoptions
    """
)
SETTINGS_OF_TORCH = ("torch.backends.cudnn", "torch.backends.cuda", "torch.backends.mkldnn")
# Reading these changes them.
STREAMS = ("sys.stdin", "sys.__stdin__")
# Attributes whose values cannot be changed, and mappings whose values are texts.
CONSTANTS = _words(
    """
    torch.__version__ torch.version.cuda torch.version.hip torch.version.git_version torchvision.__version__
    torch.pi torch.e torch.inf torch.nan
    math.pi math.e math.tau math.inf math.nan cmath.pi cmath.e string.ascii_letters string.ascii_lowercase
    string.ascii_uppercase string.digits string.punctuation sys.version sys.version_info sys.platform sys.maxsize
    logging.DEBUG logging.INFO logging.WARNING logging.ERROR logging.CRITICAL
    sys.byteorder sys.float_info sys.float_info.epsilon sys.float_info.max sys.float_info.min sys.hexversion os.name
    os.sep os.linesep os.pathsep os.path.sep builtins.__name__ builtins.__doc__ builtins.__file__ builtins.__package__
    builtins.NotImplemented builtins.Ellipsis builtins.__debug__
    """
)
TEXTS = frozenset(("os.environ", "sys.argv"))
# Modules of classes, functions and constants: none of their public names is an object that several modules change.
INERT_PREFIXES = (
    "torchvision.models._meta.",
    *(f"builtins.{name}." for name in ("dict", "list", "object", "set", "str", "tuple")),
)
INERT_ROOTS = _words(
    """
    __future__ abc bisect builtins cmath collections copy dataclasses decimal enum fractions functools heapq itertools
    math numbers operator re statistics string textwrap torch torchvision types typing
    """
)
# Modules that print, open a window or start a program when they are imported.
ACTING_MODULES = _words("antigravity idlelib rlcompleter this turtledemo")

_EXCEPTIONS = """
    ArithmeticError AssertionError AttributeError BaseException BufferError DeprecationWarning EOFError Exception
    FileNotFoundError FloatingPointError FutureWarning ImportError ImportWarning IndexError KeyError KeyboardInterrupt
    LookupError MemoryError ModuleNotFoundError NameError NotImplementedError OSError OverflowError PermissionError
    RecursionError ReferenceError RuntimeError RuntimeWarning StopIteration SyntaxError SystemExit TimeoutError
    TypeError UnicodeError UserWarning ValueError Warning ZeroDivisionError
"""
# Modules of torch.nn that draw no initial values.
_LAYERS = """
    AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d
    AlphaDropout AvgPool1d AvgPool2d AvgPool3d BCELoss BCEWithLogitsLoss BatchNorm1d BatchNorm2d BatchNorm3d CELU
    CTCLoss ChannelShuffle ConstantPad1d ConstantPad2d ConstantPad3d CosineEmbeddingLoss CosineSimilarity
    CrossEntropyLoss Dropout Dropout1d Dropout2d Dropout3d ELU FeatureAlphaDropout Flatten Fold GELU GLU
    GaussianNLLLoss GroupNorm Hardshrink Hardsigmoid Hardswish Hardtanh HingeEmbeddingLoss HuberLoss Identity
    InstanceNorm1d InstanceNorm2d InstanceNorm3d KLDivLoss L1Loss LPPool1d LPPool2d LayerNorm LeakyReLU
    LocalResponseNorm LogSigmoid LogSoftmax MSELoss MarginRankingLoss MaxPool1d MaxPool2d MaxPool3d MaxUnpool2d Mish
    Module ModuleDict ModuleList MultiLabelMarginLoss MultiLabelSoftMarginLoss MultiMarginLoss NLLLoss PReLU
    PairwiseDistance Parameter ParameterDict ParameterList PixelShuffle PixelUnshuffle PoissonNLLLoss RMSNorm RReLU
    ReLU ReLU6 ReflectionPad1d ReflectionPad2d ReplicationPad2d SELU Sequential SiLU Sigmoid SmoothL1Loss
    SoftMarginLoss Softmax Softmax2d Softmin Softplus Softshrink Softsign SyncBatchNorm Tanh Tanhshrink Threshold
    TripletMarginLoss Unflatten Unfold Upsample UpsamplingBilinear2d UpsamplingNearest2d ZeroPad2d
"""
_TENSORS = """
    arange as_tensor cartesian_prod cat concat empty empty_like eye from_numpy full full_like hann_window linspace
    logspace meshgrid ones ones_like scalar_tensor stack tensor tril_indices triu_indices zeros zeros_like
    abs acos add argmax argmin argsort asin atan atan2 bincount bmm ceil chunk clamp clip clone conj cos cosh cumprod
    cumsum deg2rad diag diagonal diff div einsum erf exp expm1 flatten flip floor fmod gather hypot isfinite isinf isnan
    kron lerp log log10 log1p log2 logical_and logical_not logical_or logspace masked_fill matmul max maximum mean
    median min minimum mm mul narrow neg norm numel outer permute polar pow prod rad2deg reciprocal relu remainder
    repeat_interleave reshape roll rot90 round rsqrt sigmoid sign sin sinh softmax sort split sqrt square squeeze std
    sub sum swapaxes t take tan tanh tile topk transpose tril triu trunc unbind unique unsqueeze var vstack hstack
    where broadcast_to
"""
CALLS: dict[str, Result] = {
    **_table(
        Result.VALUE,
        "builtins",
        """
        abs all any ascii bin bool bytes callable chr complex dir divmod float format hasattr hash hex id int isinstance
        issubclass len oct ord pow repr round str
        """,
    ),
    **_table(
        Result.NEW,
        "builtins",
        """
        bytearray dict enumerate filter frozenset iter list map object range reversed set slice sorted sum
        tuple zip
        """,
    ),
    **_table(Result.NEW, "builtins", _EXCEPTIONS),
    **_table(Result.PART, "builtins", "max min next"),
    **_table(Result.DECORATOR, "builtins", "classmethod property staticmethod"),
    **_table(Result.TYPE, "abc", "ABCMeta"),
    **_table(Result.TYPE, "enum", "EnumMeta EnumType"),
    **_table(Result.NEW, "abc", "ABC"),
    **_table(Result.NEW, "collections", "ChainMap Counter OrderedDict UserDict UserList defaultdict deque"),
    **_table(Result.TYPE, "collections", "namedtuple"),
    **_table(Result.NEW, "contextlib", "nullcontext suppress"),
    **_table(Result.PART, "copy", "copy deepcopy"),
    **_table(Result.NEW, "dataclasses", "asdict astuple field fields replace"),
    **_table(Result.TYPE, "dataclasses", "make_dataclass"),
    **_table(Result.NEW, "decimal", "Decimal"),
    **_table(Result.NEW, "enum", "Enum Flag IntEnum IntFlag StrEnum auto"),
    **_table(Result.NEW, "fractions", "Fraction"),
    **_table(Result.NEW, "functools", "cmp_to_key"),
    **_table(Result.PART, "functools", "reduce"),
    **_table(Result.CALLEE, "functools", "partial partialmethod"),
    **_table(
        Result.NEW,
        "itertools",
        """
        accumulate batched chain.from_iterable chain combinations combinations_with_replacement compress count cycle
        dropwhile filterfalse groupby islice pairwise permutations product repeat starmap takewhile tee zip_longest
        """,
    ),
    **_table(Result.NEW, "json", "dumps loads"),
    **_table(Result.UNKNOWN, "logging", "getLogger NullHandler"),
    **_table(
        Result.VALUE,
        "math",
        """
        acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist erf erfc exp exp2 expm1
        fabs factorial floor fmod fsum gamma gcd hypot isclose isfinite isinf isnan isqrt lcm ldexp lgamma log log10
        log1p log2 nextafter perm pow prod radians remainder sin sinh sqrt tan tanh trunc ulp frexp modf
        """,
    ),
    **_table(
        Result.VALUE,
        "os",
        """
        cpu_count getcwd getenv getpid environ.get path.abspath path.basename path.dirname path.exists path.expanduser
        path.isabs path.isdir path.isfile path.join path.normpath path.realpath path.split path.splitext
        """,
    ),
    **_table(Result.UNKNOWN, "pathlib", "Path PurePath"),
    **_table(Result.VALUE, "platform", "machine python_version release system"),
    **_table(Result.NEW, "re", "compile escape findall fullmatch match search split sub subn"),
    **_table(Result.VALUE, "statistics", "mean median stdev variance fmean pstdev"),
    **_table(Result.VALUE, "textwrap", "dedent fill indent shorten"),
    **_table(Result.VALUE, "time", "monotonic perf_counter time time_ns"),
    **_table(
        Result.VALUE,
        "torch",
        """
        device is_tensor is_floating_point typename finfo iinfo get_default_dtype cuda.is_available
        cuda.is_bf16_supported cuda.device_count backends.mps.is_available backends.cudnn.is_available
        backends.cuda.is_built backends.mps.is_built cuda.get_device_capability cuda.get_device_name
        distributed.is_available distributed.is_initialized
        _C._disabled_torch_function_impl
        """,
    ),
    **_table(Result.NEW, "torch", "Size Generator nn.parameter.Parameter " + _TENSORS),
    **_table(Result.NEW, "torch.nn", _LAYERS),
    **_table(
        Result.DECORATOR,
        "torch",
        """
        amp.autocast amp.custom_bwd amp.custom_fwd autocast compile compiler.allow_in_graph compiler.disable
        cuda.amp.autocast cuda.amp.custom_bwd cuda.amp.custom_fwd enable_grad inference_mode jit.export jit.ignore
        jit.interface jit.script jit.script_method jit.unused jit._overload jit._overload_method no_grad
        autograd.function.once_differentiable fx.wrap
        """,
    ),
    **_table(Result.NEW, "torchvision.models._api", "Weights"),
    **_table(Result.DECORATOR, "torchvision.models._utils", "handle_legacy_interface"),
    **_table(Result.VALUE, "torchvision.models._utils", "_make_divisible"),
    **_table(Result.NEW, "torch.nn.modules.utils", "_ntuple _pair _quadruple _single _triple"),
    **_table(Result.NEW, "types", "MappingProxyType SimpleNamespace"),
    **_table(
        Result.DECORATOR,
        "typing",
        "final no_type_check overload override runtime_checkable dataclass_transform",
    ),
    **_table(Result.TYPE, "typing", "NamedTuple NewType ParamSpec TypeVar TypeVarTuple TypedDict"),
    **_table(Result.PART, "typing", "cast"),
    **_table(Result.DECORATOR, "contextlib", "contextmanager asynccontextmanager"),
    **_table(Result.DECORATOR, "dataclasses", "dataclass"),
    **_table(Result.DECORATOR, "enum", "unique"),
    **_table(
        Result.DECORATOR,
        "functools",
        "cache cached_property lru_cache singledispatch singledispatchmethod total_ordering wraps",
    ),
    **_table(Result.DECORATOR, "abc", "abstractmethod"),
}
