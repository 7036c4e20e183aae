"""Python source that extracts index rows, one function a resource type.

The names in the source: `r` the resource; `own` the end of the data store's own address; `T R S D Q U C` append a token, reference,
string, date, quantity, uri or composite row; the rest are the helpers of `rows`. Every block reads one variant of one index path.
"""

from collections.abc import Callable

from opentrail.services.healthlake.engine.search.paths import IndexPath, Variant, number

Lines = list[str]
NUMBERS = ("decimal", "integer", "positiveInt", "unsignedInt")
DATES = ("date", "dateTime", "instant", "string")
TEXTS = ("string", "markdown", "code", "id")
LITERALS = ("code", "id", "string", "uri", "canonical", "url")
QUANTITIES = ("Quantity", "Age", "Duration", "Count", "Distance")


def indented(lines: Lines, depth: int) -> Lines:
    """The lines, `depth` blanks further in."""
    return [" " * depth + line for line in lines]


def walk(variant: Variant, root: str, body: Callable[[str], Lines]) -> Lines:
    """The lines that visit every value of a variant under `root` and run `body` with its variable."""
    lines: Lines = []
    depth, value = 0, root
    for place, step in enumerate(variant.operations):
        fresh = f"{root}_{place}"
        added = _step(step, value, fresh)
        lines += indented(added, depth)
        depth += len(added) - (1 if step[0] in ("get", "each", "at") else 0)
        value = fresh if step[0] in ("get", "each", "at", "deceased") else value
    inner = body(value)
    return lines + indented(inner, depth) if inner else []


def _step(step: tuple[str, ...], value: str, fresh: str) -> Lines:
    if step[0] == "get":
        return [f"{fresh}={value}.get({step[1]!r})", f"if {fresh} is not None:"]
    if step[0] == "each":
        return [f"{fresh}s={value}.get({step[1]!r})", f"for {fresh} in {fresh}s or ():"]
    if step[0] == "at":
        return [f"{fresh}={value}", f"if {fresh} is not None:"]
    if step[0] == "equal":
        return [f"if {value}.get({step[1]!r})=={step[2]!r}:"]
    if step[0] == "type":
        return [f"if points_to({value},{step[1]!r},own):"]
    return [f"for {fresh} in (deceased({value}),):"]


def token(kind: str, v: str, n: int) -> Lines:
    """Rows of a token parameter: code and system; what is displayed as strings for `:text`."""
    if kind == "CodeableConcept":
        return [
            f"for c in {v}.get('coding',()):",
            f" T(({n},token(c.get('code')),system(c.get('system'))))",
            " x=c.get('display')",
            f" if x: S(({n},fold(x),''))",
            f"x={v}.get('text')",
            f"if x: S(({n},fold(x),''))",
        ]
    if kind == "Coding":
        shown = [f"x={v}.get('display')", f"if x: S(({n},fold(x),''))"]
        return [f"T(({n},token({v}.get('code')),system({v}.get('system'))))", *shown]
    if kind == "Identifier":
        shown = [f"x=({v}.get('type') or {{}}).get('text')", f"if x: S(({n},fold(x),''))"]
        return [f"T(({n},token({v}.get('value')),system({v}.get('system'))))", *shown]
    if kind == "ContactPoint":
        return [f"T(({n},token({v}.get('value')),0))"]
    if kind == "boolean":
        return [f"T(({n},'true' if {v} else 'false',0))"]
    return [f"if type({v}) is str: T(({n},token({v}),0))"] if kind in LITERALS else []


def of_type(v: str, n: int) -> Lines:
    """Rows of `:of-type`: the system and code of an identifier's type, with its value."""
    return [
        f"for c in ({v}.get('type') or {{}}).get('coding',()):",
        f" T(({n},typed(c.get('code'),{v}.get('value')),system(c.get('system'))))",
    ]


def reference(kind: str, v: str, n: int) -> Lines:
    """Rows of a reference parameter: id, type and server; a logical reference as a token for `:identifier`."""
    if kind == "Reference":
        return [
            f"x={v}.get('reference')",
            f"if x: R(({n},*target(x,own)))",
            f"x={v}.get('identifier')",
            f"if x: T(({n},token(x.get('value')),system(x.get('system'))))",
        ]
    return [f"for x in canonical({v}): R(({n},x,'',0))"] if kind in ("canonical", "uri") else []


def string(kind: str, v: str, n: int) -> Lines:
    """Rows of a string parameter: folded and as written."""
    if kind == "HumanName":
        return [f"for x in name_parts({v}): S(({n},fold(x),capped(x)))"]
    if kind == "Address":
        return [f"for x in address_parts({v}): S(({n},fold(x),capped(x)))"]
    return [f"if type({v}) is str: S(({n},fold({v}),capped({v})))"] if kind in TEXTS else []


def date(kind: str, v: str, n: int) -> Lines:
    """Rows of a date parameter: first and last millisecond."""
    if kind in DATES:
        return [f"x=date_interval({v})", f"if x: D(({n},x[0],x[1]))"]
    if kind == "Period":
        return [f"x=period_interval({v}.get('start'),{v}.get('end'))", f"if x: D(({n},x[0],x[1]))"]
    return [f"for x in timing({v}): D(({n},x[0],x[1]))"] if kind == "Timing" else []


def quantity(kind: str, v: str, n: int) -> Lines:
    """Rows of a number or quantity parameter: lowest and highest value, unit code, unit system."""
    if kind in NUMBERS:
        return [f"x=float({v})", f"Q(({n},x,x,'',0))"]
    function = "amounts" if kind in QUANTITIES else {"Money": "money", "Range": "amount_range"}.get(kind)
    return [f"for x in {function}({v}): Q(({n},*x))"] if function else []


def uri(kind: str, v: str, n: int) -> Lines:
    """Rows of a uri parameter."""
    return [f"if type({v}) is str: U(({n},capped({v})))"] if kind in LITERALS else []


BY_KIND: dict[str, Callable[[str, str, int], Lines]] = {
    "token": token,
    "of-type": lambda _, v, n: of_type(v, n),
    "reference": reference,
    "string": string,
    "date": date,
    "number": quantity,
    "quantity": quantity,
    "uri": uri,
}


def composite(path: IndexPath, context: int, v: str) -> Lines:
    """Rows of a composite parameter: each combination of its components' rows within one element."""
    lines: Lines = []
    parts = path.components[context]
    for place, (kind, variants) in enumerate(parts):
        lines += [f"p{place}=[]", f"T=R=S=D=Q=U=p{place}.append"]
        if kind == "token":
            lines += ["S=drop"]
        if kind == "reference":
            lines += ["T=drop"]
        for variant in variants:
            body = BY_KIND[kind]
            end = variant.type
            lines += walk(variant, v, lambda value, body=body, end=end: body(end, value, 0))  # type: ignore[misc]
    columns = ",".join(f"({kind!r},p{place})" for place, (kind, _) in enumerate(parts))
    return [*lines, f"for x in combined({columns}): C(({number(path.key)},*x))"]


def block(path: IndexPath) -> Lines:
    """The lines of one index path."""
    lines: Lines = []
    for place, variant in enumerate(path.variants):
        if path.components:
            lines += walk(variant, "r", lambda value, at=place: composite(path, at, value))  # type: ignore[misc]
            continue
        body = BY_KIND[path.kind](variant.type, "v", number(path.key))
        if body:
            lines += walk(variant, "r", lambda value, body=body: [f"v={value}", *body])  # type: ignore[misc]
    return lines


def function(paths: list[IndexPath], lenient: bool) -> str:
    """The source of `extract(r, own, T, R, S, D, Q, U, C, fail)`; lenient: a failing path is given to `fail` and the rest goes on."""
    lines: Lines = []
    for path in sorted(paths, key=lambda p: bool(p.components)):
        found = block(path)
        if path.components:
            found = ["T0,R0,S0,D0,Q0,U0=T,R,S,D,Q,U", *found, "T,R,S,D,Q,U=T0,R0,S0,D0,Q0,U0"] if found else []
        if found and lenient:
            found = ["try:", *indented(found, 1), f"except Malformed: fail({path.key!r})"]
        lines += found
    return "def extract(r,own,T,R,S,D,Q,U,C,fail):\n" + "\n".join(indented(lines or ["pass"], 1)) + "\n"
