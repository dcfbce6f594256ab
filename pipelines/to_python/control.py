"""Rendering of control flow in a chain: branches become functions, or lambdas for a single call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pipeprof.pipelines.ops.calls.opcall import OpCall
from pipeprof.pipelines.ops.calls.seeds import drawing
from pipeprof.pipelines.to_python.body import Body
from pipeprof.pipelines.to_python.code import call, listed, returned, tupled, verb
from pipeprof.pipelines.to_python.elements import Form, Single, TupleForm, bind, express, noun_of, plain
from pipeprof.pipelines.to_python.module import function_lines

Result = tuple[str, Form]


def _subject(body: Body, operation: OpCall, element: Form) -> Form:
    given = body.given(operation, element)
    return TupleForm(tuple(given)) if isinstance(operation.on, tuple) else given[0]


def _render_chain(
    body: Body, calls: Sequence[OpCall], subject: Form, *, answers: bool = False, name: str = ""
) -> Result:
    inner = body.inside()
    node, form = inner.chain(calls, subject, answers=answers)
    if not inner.lines:
        return node, form
    own = body.inside(fresh=True)
    parameter = own.local(noun_of(subject), ())
    parameters = [parameter]
    if body.seed:
        own.seed = own.local("seed", ())
        parameters.append(own.seed)
    node, form = own.chain(calls, bind(plain(subject), parameter), answers=answers)
    function = body.module.name(name or verb([inner_call.name for inner_call in calls], "change"))
    body.module.functions.append(function_lines(function, parameters, [*own.lines, *returned(node)]))
    return call(function, express(subject), *([body.seed] if body.seed else [])), form


def _lambda(body: Body, operation: OpCall, place: str, subject: Form) -> Result:
    node, form = _render_chain(body, operation.chains.get(place, ()), subject)
    return f"lambda: {node}", form


def _named_subject(body: Body, subject: Form) -> Form:
    """Return the subject without long expressions: composed values get a variable."""
    if isinstance(subject, Single) or (subject.expression is not None and not subject.changed):
        return subject
    return bind(plain(subject), body.assign(noun_of(subject), express(subject)))


def _cond(body: Body, operation: OpCall, element: Form) -> Result:
    subject = _named_subject(body, _subject(body, operation, element))
    if "probability" in operation.arguments:
        draw = body.uniform(operation)
        pred: str = f"{draw} < {operation.arguments['probability']!r}"
    else:
        pred = _render_chain(body, operation.chains["pred"], element, answers=True, name="condition")[0]
    chosen, form = _lambda(body, operation, "true_fn", subject)
    other, other_form = _lambda(body, operation, "false_fn", subject)
    form = form if operation.chains.get("true_fn") else other_form
    return call("tf.cond", pred, chosen, other), plain(form)


def _render_switch(body: Body, operation: OpCall, name: str, index: str, subject: Form) -> Result:
    places = [place for place in operation.chains if place.rpartition(".")[0] == name]
    made = [_lambda(body, operation, place, subject) for place in places]
    return call("tf.switch_case", index, listed(node for node, _ in made)), plain(made[0][1])


def _count(operation: OpCall, name: str) -> int:
    return sum(place.rpartition(".")[0] == name for place in operation.chains)


def _switch_case(body: Body, operation: OpCall, element: Form) -> Result:
    subject = _named_subject(body, _subject(body, operation, element))
    if "branch_index" in operation.chains:
        node, _ = _render_chain(body, operation.chains["branch_index"], element, answers=True, name="branch")
        index: str = call("tf.cast", node, "tf.int32")
    else:
        index = body.uniform(operation, maxval=_count(operation, "branch_fns"))
    return _render_switch(body, operation, "branch_fns", index, subject)


def _random_order(body: Body, operation: OpCall, element: Form) -> Result:
    subject = _named_subject(body, _subject(body, operation, element))
    count = _count(operation, "fns")
    order = body.assign("order", body.shuffled(operation, count), ())
    made: Result = (express(subject), subject)
    for turn in range(count):
        made = _render_switch(body, operation, "fns", f"{order}[{turn}]", subject)
        if turn < count - 1:
            name = body.assign(noun_of(made[1]), made[0], (order,))
            subject = bind(plain(subject), name)
    return made


def _for_each(body: Body, operation: OpCall, element: Form) -> Result:
    seed = body.assign("seed", "tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32)", ())
    calls = operation.chains["ops"]
    inner = body.inside(fresh=True)
    given = body.given(operation, element)
    noun = "value" if len({noun_of(part) for part in given}) > 1 else noun_of(given[0])
    parameter, inner.seed = inner.local(noun, ()), inner.local("seed", ())
    inner.folds = {id(each): number for each, number in _number_calls(calls)}
    node, form = inner.chain(calls, bind(Single(noun), parameter))
    function = body.module.name(verb([inner_call.name for inner_call in calls], "change"))
    body.module.functions.append(function_lines(function, [parameter, inner.seed], [*inner.lines, *returned(node)]))
    return tupled(call(function, express(part), seed) for part in given), TupleForm(tuple(plain(form) for _ in given))


def _number_calls(calls: Sequence[OpCall]) -> list[tuple[OpCall, int]]:
    from pipeprof.pipelines.ops.calls.opcall import walk_calls

    numbers = drawing(calls)
    return [(operation, numbers[path]) for path, operation in walk_calls(calls) if path in numbers]


def _over(argument: str) -> Callable[[Body, OpCall, Form], Result]:
    def rendered(body: Body, operation: OpCall, element: Form) -> Result:
        subject = _named_subject(body, _subject(body, operation, element))
        calls = operation.chains[argument]
        named = {key: body.values.constant(value) for key, value in operation.arguments.items()}
        item = body.inside(fresh=True)
        parameter = item.local("item", ())
        node, form = item.chain(calls, bind(plain(subject), parameter))
        if not item.lines and node == f"{calls[0].name}({parameter})":
            function: str = calls[0].name
        elif not item.lines:
            function = f"lambda {parameter}: {node}"
        else:
            function = body.module.name(verb([inner_call.name for inner_call in calls], "change"))
            lines = function_lines(function, [parameter], [*item.lines, *returned(node)])
            body.module.functions.append(lines)
        return call(operation.name, function, express(subject), **named), plain(form)

    return rendered


CONTROL: Final[dict[str, Callable[[Body, OpCall, Form], Result]]] = {
    "tf.cond": _cond,
    "tf.switch_case": _switch_case,
    "random_order": _random_order,
    "for_each": _for_each,
    "tf.map_fn": _over("fn"),
    "tf.vectorized_map": _over("fn"),
    "tf.ragged.map_flat_values": _over("op"),
}
