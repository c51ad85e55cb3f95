"""What the source proves of a value: that it is one of Python's own, or only that nobody knows what its methods do."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from enum import IntEnum

from gateway.migrate.name import FunctionNode, dotted, own_nodes, parameter_nodes
from gateway.migrate.project import Place, Project

__all__ = ["PURE_BUILTINS", "Standing", "Values", "is_pure_name"]

_PURE_MODULES = frozenset(
    {"math", "json", "re", "string", "itertools", "functools", "operator", "collections", "decimal", "datetime", "time", "random", "uuid",
     "hashlib", "hmac", "base64", "copy", "logging", "textwrap", "statistics", "fractions", "dataclasses", "enum", "typing", "urllib.parse",
     "celery.utils.log", "os.environ", "os.getenv", "email", "warnings", "bisect", "heapq", "zlib", "struct", "event_handlers"}
)  # fmt: skip
# What these give holds what they were given.
_PASSING_ON = frozenset({"copy", "functools", "itertools", "operator", "collections", "heapq"})
_PURE_BUILTINS_WORDS = """
    abs all any ascii bin bool bytes bytearray callable chr complex dict dir divmod enumerate filter float format frozenset getattr
    hasattr hash hex id int isinstance issubclass iter len list map max min next object oct ord pow range repr reversed round set
    slice sorted str sum super tuple type vars zip print Exception ValueError TypeError KeyError RuntimeError LookupError IndexError
    ArithmeticError ZeroDivisionError OSError ConnectionError TimeoutError NotImplementedError AssertionError AttributeError
    StopIteration
"""
PURE_BUILTINS = frozenset(_PURE_BUILTINS_WORDS.split())
_OF_ANYTHING_WORDS = """
    abs all any ascii bin bool bytes bytearray callable chr complex float format hash hex id int isinstance issubclass len oct ord
    range repr round str sum
"""
_OF_ANYTHING = frozenset(_OF_ANYTHING_WORDS.split())
_ANNOTATIONS = frozenset({"int", "str", "bool", "float", "bytes", "list", "dict", "set", "tuple", "frozenset", "None"}) | frozenset(
    f"typing.{name}" for name in ("List", "Dict", "Set", "Tuple", "Sequence", "Mapping", "Iterable", "Optional", "Union", "Literal")
) | frozenset({"datetime.datetime", "datetime.date", "datetime.time", "datetime.timedelta", "decimal.Decimal", "uuid.UUID"})  # fmt: skip
_ATTRIBUTES_WORDS = """
    real imag numerator denominator year month day hour minute second microsecond tzinfo days seconds hex int name value args
    scheme netloc path query fragment hostname port __name__ __doc__
"""
_ATTRIBUTES = frozenset(_ATTRIBUTES_WORDS.split())
_MAX_DEPTH = 12
_MAX_RESULTS = 3


def is_pure_name(full: str) -> bool:
    """Whether a full name is one of a module of the standard library that reaches nothing, and gives plain values."""
    return any(f"{full}.".startswith(f"{module}.") for module in _PURE_MODULES)


class Standing(IntEnum):
    """How much is known. The standing of what is made of several values is the lowest of theirs."""

    UNKNOWN = 0
    PAYLOAD = 1
    """A task's argument without an annotation: what JSON has, unless its callers pickle."""
    PLAIN = 2
    """Made by the source of nothing but Python's own values."""


class Values:
    """The values of one function, or with `node` None of the block a place is in.

    `given` is the standing of its arguments, but for `task`, the parameter that takes the task object.
    """

    def __init__(
        self,
        node: FunctionNode | None,
        inside: Place,
        project: Project,
        given: Standing = Standing.UNKNOWN,
        *,
        task: str | None = None,
        results: int = 0,
    ) -> None:
        self._node = node
        self._inside = inside
        self._project = project
        self._given = given
        self._results = results
        self._open: set[int] = set()
        self._sources: dict[str, list[ast.expr | None]] = {}
        self._parameters: dict[str, ast.arg] = {}
        self._inner: dict[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda] = {}
        if node is not None:
            self._parameters = {parameter.arg: parameter for parameter in parameter_nodes(node.args) if parameter.arg != task}
            if task is not None:
                self._sources[task] = [None]
            for part in (inner for statement in node.body for inner in ast.walk(statement)):
                self._note(part)

    def is_local(self, name: str) -> bool:
        """Whether a name is the function's own."""
        return name in self._sources or name in self._parameters or name in self._inner

    def of(self, expression: ast.expr | None, depth: int = 0) -> Standing:
        """The standing of a value."""
        if expression is None or depth > _MAX_DEPTH:
            return Standing.UNKNOWN
        if id(expression) in self._open:
            # It is made of itself too: what else it is made of decides.
            return Standing.PLAIN
        self._open.add(id(expression))
        try:
            return self._of(expression, depth + 1)
        finally:
            self._open.discard(id(expression))

    def makers(self, expression: ast.expr, depth: int = 0) -> Iterator[str]:
        """The full names of what a value was made by: `requests.Session` of `session`, and of `session.get(url).json`."""
        if depth > _MAX_DEPTH or id(expression) in self._open:
            return
        self._open.add(id(expression))
        match expression:
            case ast.Call(func=function):
                if (full := self._project.full_name(function, self._inside)) is not None:
                    yield full
                yield from self.makers(function, depth + 1)
            case ast.Attribute(value=value) | ast.Subscript(value=value) | ast.Await(value=value):
                yield from self.makers(value, depth + 1)
            case ast.Name(id=name) if name in self._sources:
                for source in self._sources[name]:
                    if source is not None:
                        yield from self.makers(source, depth + 1)
        self._open.discard(id(expression))
        if dotted(expression) is not None and not self._is_own(expression):
            yield from self._outside_makers(expression, depth)

    def _outside_makers(self, expression: ast.expr, depth: int) -> Iterator[str]:
        """What made a module's value, or the one it is a part of."""
        parts = (self._project.full_name(expression, self._inside) or "").split(".")
        for length in range(2, len(parts) + 1):
            values, where = self._project.values(".".join(parts[:length]))
            outer = Values(None, where, self._project)
            for value in values:
                if value is not expression and not isinstance(value, ast.Name):
                    yield from outer.makers(value, depth + 1)

    def _note(self, part: ast.AST) -> None:
        match part:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._bind(target, value)
            case (
                ast.AnnAssign(target=target, value=value)
                | ast.NamedExpr(target=target, value=value)
                | ast.AugAssign(target=target, value=value)
            ):
                self._bind(target, value)
            case (
                ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value) | ast.comprehension(target=target, iter=value)
            ):
                self._bind(target, value)
            case ast.withitem(optional_vars=ast.expr() as target):
                self._bind(target, None)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                self._sources.setdefault(name, []).append(None)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                self._inner[name] = part
                self._bind_inner(part)
            case ast.Lambda():
                self._bind_inner(part)

    def _bind(self, target: ast.expr, value: ast.expr | None) -> None:
        for part in ast.walk(target):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                self._sources.setdefault(part.id, []).append(value)

    def _bind_inner(self, function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        """An inner function's parameters are what is given in the calls that name it, or are given it."""
        assert self._node is not None
        given: list[ast.expr | None] = []
        for call in (part for part in ast.walk(self._node) if isinstance(part, ast.Call)):
            arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
            if any(_names(part, function) for part in [call.func, *arguments]):
                given += [part for part in arguments if not _names(part, function)]
        for parameter in parameter_nodes(function.args):
            self._sources.setdefault(parameter.arg, []).extend(given or [None])

    def _is_own(self, expression: ast.expr) -> bool:
        return self.is_local((dotted(expression) or [""])[0])

    def _of(self, expression: ast.expr, depth: int) -> Standing:
        match expression:
            case ast.Constant() | ast.JoinedStr() | ast.FormattedValue() | ast.Lambda() | ast.Compare():
                return Standing.PLAIN
            case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts) | ast.BoolOp(values=parts):
                return self._least(parts, depth)
            case ast.Dict(keys=keys, values=parts):
                return self._least([*(key for key in keys if key is not None), *parts], depth)
            case ast.ListComp(elt=part) | ast.SetComp(elt=part) | ast.GeneratorExp(elt=part) | ast.Starred(value=part):
                return self.of(part, depth)
            case ast.Subscript(value=part) | ast.NamedExpr(value=part) | ast.UnaryOp(operand=part):
                return self.of(part, depth)
            case ast.DictComp(key=first, value=second) | ast.BinOp(left=first, right=second) | ast.IfExp(body=first, orelse=second):
                return self._least([first, second], depth)
            case ast.Call():
                return self._result(expression, depth)
            case ast.Name() | ast.Attribute():
                return self._named(expression, depth)
        return Standing.UNKNOWN

    def _least(self, parts: Iterable[ast.expr | None], depth: int) -> Standing:
        return min((self.of(part, depth) for part in parts), default=Standing.PLAIN)

    def _named(self, expression: ast.Name | ast.Attribute, depth: int) -> Standing:
        if isinstance(expression, ast.Name) and self.is_local(expression.id):
            return self._local(expression.id, depth)
        full = None if self._is_own(expression) else self._project.full_name(expression, self._inside)
        if full is not None:
            if is_pure_name(full):
                return Standing.PLAIN
            values, where = self._project.values(full)
            if values and depth <= _MAX_DEPTH:
                outer = Values(None, where, self._project)
                return min(outer.of(value, depth) for value in values)
        if isinstance(expression, ast.Attribute):
            return self.of(expression.value, depth) if expression.attr in _ATTRIBUTES else Standing.UNKNOWN
        return Standing.PLAIN if full is None and hasattr(builtins, expression.id) else Standing.UNKNOWN

    def _local(self, name: str, depth: int) -> Standing:
        found = [self.of(source, depth) for source in self._sources.get(name, ())]
        if (parameter := self._parameters.get(name)) is not None:
            found.append(self._argument(parameter))
        if name in self._inner:
            found.append(Standing.PLAIN)
        return min(found)

    def _argument(self, parameter: ast.arg) -> Standing:
        if self._given is Standing.PAYLOAD and parameter.annotation is not None:
            return Standing.PLAIN if self._is_plain_annotation(parameter.annotation) else Standing.UNKNOWN
        return self._given

    def _is_plain_annotation(self, annotation: ast.expr) -> bool:
        match annotation:
            case ast.Constant(value=str(text)):
                try:
                    return self._is_plain_annotation(ast.parse(text, mode="eval").body)
                except SyntaxError:
                    return False
            case ast.Constant(value=value):
                return value is None
            case ast.BinOp(left=left, right=right):
                return self._is_plain_annotation(left) and self._is_plain_annotation(right)
            case ast.Subscript(value=base, slice=inner):
                items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                literal = (dotted(base) or [""])[-1] == "Literal"
                return self._is_plain_annotation(base) and (literal or all(self._is_plain_annotation(item) for item in items))
        full = self._project.full_name(annotation, self._inside) or ".".join(dotted(annotation) or [])
        return full in _ANNOTATIONS

    def _result(self, call: ast.Call, depth: int) -> Standing:
        arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
        function = call.func
        if isinstance(function, ast.Name) and self.is_local(function.id):
            inner = self._inner.get(function.id)
            returned = (
                [part.value for part in own_nodes(inner) if isinstance(part, ast.Return)] if isinstance(inner, FunctionNode) else [None]
            )
            return self._least([value for value in returned if value is not None or inner is None], depth)
        full = None if self._is_own(function) else self._project.full_name(function, self._inside)
        if full is not None and is_pure_name(full):
            return self._least(arguments, depth) if full.partition(".")[0] in _PASSING_ON else Standing.PLAIN
        if full is not None and (defined := self._project.definition(full)) is not None:
            node, where = defined
            if not isinstance(node, FunctionNode) or node.decorator_list or self._results >= _MAX_RESULTS:
                return Standing.UNKNOWN
            within = Values(node, where.inside(node), self._project, self._least(arguments, depth), results=self._results + 1)
            return min(
                (within.of(part.value) for part in own_nodes(node) if isinstance(part, ast.Return) and part.value is not None),
                default=Standing.PLAIN,
            )
        if isinstance(function, ast.Name) and full is None and function.id in PURE_BUILTINS:
            if function.id in ("super", "type", "object", "vars"):
                return Standing.UNKNOWN
            return Standing.PLAIN if function.id in _OF_ANYTHING else self._least(arguments, depth)
        if isinstance(function, ast.Attribute):
            # A key is looked for, and not given back.
            kept = arguments[1:] if function.attr in ("get", "pop", "setdefault") else arguments
            return self._least([function.value, *kept], depth)
        return Standing.UNKNOWN


def _names(expression: ast.expr, function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> bool:
    return expression is function or (
        isinstance(expression, ast.Name) and isinstance(function, FunctionNode) and expression.id == function.name
    )
