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
_MAX_DEPTH = 60
_MAX_ROUNDS = 20
_MAX_ARGUMENTS = 50
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
        known: dict[tuple[str, int], Standing] | None = None,
    ) -> None:
        self._node = node
        self._inside = inside
        self._project = project
        self._given = given
        self._results = results
        self._known: dict[tuple[str, int], Standing] = {} if known is None else known
        self._levels: dict[str, Standing] = {}
        self._contained: dict[str, Standing] = {}
        self._sources: dict[str, list[ast.expr | None]] = {}
        self._contents: dict[str, list[ast.expr]] = {}
        self._parameters: dict[str, ast.arg] = {}
        self._inner: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
        if node is not None:
            self._parameters = {parameter.arg: parameter for parameter in parameter_nodes(node.args) if parameter.arg != task}
            if task is not None:
                self._sources[task] = [None]
            parts = [inner for statement in node.body for inner in ast.walk(statement)]
            self._inner = {part.name: part for part in parts if isinstance(part, FunctionNode)}
            calls = self._calls_of_inner(parts)
            for part in parts:
                self._note(part, calls)
            self._settle()

    def is_local(self, name: str) -> bool:
        """Whether a name is the function's own."""
        return name in self._sources or name in self._parameters or name in self._inner

    def of(self, expression: ast.expr | None, depth: int = 0) -> Standing:
        """The standing of a value, and of what is in it."""
        return Standing.UNKNOWN if expression is None or depth > _MAX_DEPTH else self._of(expression, depth + 1)

    def of_owner(self, expression: ast.expr) -> Standing:
        """The standing of a value, whatever has been put into it since it was made."""
        if isinstance(expression, ast.Name) and self.is_local(expression.id):
            return self._levels[expression.id]
        return self.of(expression)

    def makers(self, expression: ast.expr, seen: set[str] | None = None) -> Iterator[str]:
        """The full names of what a value was made by: `requests.Session` of `session`, and of `session.get(url).json`."""
        seen = set() if seen is None else seen
        waiting: list[ast.expr] = [expression]
        while waiting:
            match current := waiting.pop():
                case ast.Call(func=function):
                    if (full := self._project.full_name(function, self._inside)) is not None:
                        yield full
                    waiting.append(function)
                case ast.Subscript(value=value) | ast.Await(value=value):
                    waiting.append(value)
                case ast.Name(id=name) if name in self._sources:
                    waiting += [source for source in self._sources[name] if source is not None and name not in seen]
                    seen.add(name)
                case ast.Name() | ast.Attribute() if dotted(current) is not None and not self._is_own(current):
                    yield from self._outside_makers(current, seen)
                case ast.Attribute(value=value):
                    waiting.append(value)

    def _outside_makers(self, expression: ast.expr, seen: set[str]) -> Iterator[str]:
        """What made a module's value, or the one it is a part of."""
        parts = (self._project.full_name(expression, self._inside) or "").split(".")
        for length in range(2, len(parts) + 1):
            full = ".".join(parts[:length])
            if full in seen or len(seen) > _MAX_DEPTH:
                continue
            seen.add(full)
            values, where = self._project.values(full)
            outer = Values(None, where, self._project)
            for value in values:
                yield from outer.makers(value, seen)

    def _settle(self) -> None:
        """Every name is taken for plain until one of its sources is not: names may be made of one another."""
        names = {*self._sources, *self._parameters, *self._inner}
        self._levels = dict.fromkeys(names, Standing.PLAIN)
        self._contained = dict.fromkeys(names, Standing.PLAIN)
        for _ in range(_MAX_ROUNDS):
            before = (dict(self._levels), dict(self._contained))
            for name in names:
                found = [self.of(source) for source in self._sources.get(name, ())]
                if (parameter := self._parameters.get(name)) is not None:
                    found.append(self._argument(parameter))
                self._levels[name] = min(found, default=Standing.PLAIN)
                # What came as JSON and was put into something of the function's own stays what JSON has.
                unknown = any(self.of(content) is Standing.UNKNOWN for content in self._contents.get(name, ()))
                self._contained[name] = Standing.UNKNOWN if unknown else Standing.PLAIN
            if before == (self._levels, self._contained):
                return
        self._levels = dict.fromkeys(names, Standing.UNKNOWN)

    def _note(self, part: ast.AST, calls: dict[object, list[ast.expr]]) -> None:
        match part:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._bind(target, value)
                    self._put(target, [value])
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
                self._bind_inner(part.args, calls.get(name))
            case ast.Lambda():
                self._bind_inner(part.args, calls.get(part))
            case ast.Call(func=ast.Attribute(value=owner), args=arguments):
                self._put(owner, [*arguments, *(keyword.value for keyword in part.keywords)])

    def _bind(self, target: ast.expr, value: ast.expr | None) -> None:
        for part in ast.walk(target):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                self._sources.setdefault(part.id, []).append(value)

    def _put(self, owner: ast.expr, values: Iterable[ast.expr]) -> None:
        """Values are put into what a name stands for, or into something in it."""
        root = owner
        while isinstance(root, ast.Attribute | ast.Subscript | ast.Call):
            root = root.func if isinstance(root, ast.Call) else root.value
        if isinstance(root, ast.Name):
            self._contents.setdefault(root.id, []).extend(values)

    def _calls_of_inner(self, parts: list[ast.AST]) -> dict[object, list[ast.expr]]:
        """By inner function: what is given in the calls that name it, or are given it."""
        calls: dict[object, list[ast.expr]] = {}
        for call in (part for part in parts if isinstance(part, ast.Call)):
            arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
            keys = [_key(part) for part in [call.func, *arguments]]
            given = [part for part in arguments if _key(part) is None or _key(part) not in self._inner]
            for key in keys:
                if isinstance(key, ast.Lambda) or key in self._inner:
                    calls.setdefault(key, []).extend(part for part in given[:_MAX_ARGUMENTS] if part is not key)
                    if len(given) > _MAX_ARGUMENTS:
                        calls[key].append(call)
        return calls

    def _bind_inner(self, parameters: ast.arguments, given: list[ast.expr] | None) -> None:
        """An inner function's parameters are whatever it is called with; nobody knows of one that no call shows."""
        for parameter in parameter_nodes(parameters):
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
            return min(self._levels[expression.id], self._contained[expression.id])
        full = None if self._is_own(expression) else self._project.full_name(expression, self._inside)
        if full is not None:
            if is_pure_name(full):
                return Standing.PLAIN
            values, where = self._project.values(full)
            if values:
                return self._module_value(full, values, where, depth)
        if isinstance(expression, ast.Attribute):
            return self.of(expression.value, depth) if expression.attr in _ATTRIBUTES else Standing.UNKNOWN
        return Standing.PLAIN if full is None and hasattr(builtins, expression.id) else Standing.UNKNOWN

    def _module_value(self, full: str, values: list[ast.expr], where: Place, depth: int) -> Standing:
        key = (full, -1)
        if key not in self._known:
            # Made of itself: nobody knows.
            self._known[key] = Standing.UNKNOWN
            outer = Values(None, where, self._project, known=self._known)
            self._known[key] = min(outer.of(value, depth) for value in values)
        return self._known[key]

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
            return self._of_function(full, *defined, self._least(arguments, depth))
        if isinstance(function, ast.Name) and full is None and function.id in PURE_BUILTINS:
            if function.id in ("super", "type", "object", "vars"):
                return Standing.UNKNOWN
            return Standing.PLAIN if function.id in _OF_ANYTHING else self._least(arguments, depth)
        if isinstance(function, ast.Attribute):
            # A key is looked for, and not given back.
            kept = arguments[1:] if function.attr in ("get", "pop", "setdefault") else arguments
            return self._least([function.value, *kept], depth)
        return Standing.UNKNOWN

    def _of_function(self, full: str, node: ast.AST, where: Place, given: Standing) -> Standing:
        """What one of the project's functions gives."""
        if not isinstance(node, FunctionNode) or node.decorator_list or self._results >= _MAX_RESULTS:
            return Standing.UNKNOWN
        key = (full, int(given))
        if key not in self._known:
            self._known[key] = Standing.UNKNOWN
            within = Values(node, where.inside(node), self._project, given, results=self._results + 1, known=self._known)
            returned = [part.value for part in own_nodes(node) if isinstance(part, ast.Return) and part.value is not None]
            self._known[key] = min((within.of(value) for value in returned), default=Standing.PLAIN)
        return self._known[key]


def _key(expression: ast.expr) -> object:
    return expression.id if isinstance(expression, ast.Name) else expression if isinstance(expression, ast.Lambda) else None
