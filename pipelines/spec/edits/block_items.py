"""Items of a block taken out, put in and moved, by whole lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeprof.pipelines.spec.edits.items import Final, Run, runs, staying
from pipeprof.pipelines.spec.edits.layout import Layout
from pipeprof.pipelines.spec.edits.new_text import entry_lines, item_lines
from pipeprof.pipelines.spec.edits.splices import Splices
from pipeprof.pipelines.spec.edits.tree import WrittenNode


def patch_block(splices: Splices, layout: Layout, node: WrittenNode, finals: Sequence[Final]) -> None:
    """Bring the items of a block in their new order; what is inside of them has been changed before.

    Raises:
        EditError: An item to take out shares a line with another value.
    """
    stay = staying(finals)
    column = layout.block_column(node)
    as_block = _in_blocks(layout, node)
    gone = [index for index in range(len(node.children)) if index not in stay]
    own = {index: layout.own_lines(node, index) for index in gone}
    texts = {index: splices.render(lines.start, lines.end).rstrip("\r\n") for index, lines in own.items()}

    def text_of(final: Final) -> str:
        if final.origin is not None:
            return texts[final.origin]
        if final.key is not None:
            lines = entry_lines(final.key, final.value, column, as_block=False)
        else:
            lines = item_lines(final.value, column, as_block=as_block)
        return layout.line_end.join(lines)

    placed: list[tuple[int, str]] = []
    for run in runs(finals):
        here, ahead = _split(run)
        freed = [index for index in gone if _between(index, run) and _is_free(index, finals)]
        if any(final.replaces for final in run.items) and freed:
            placed.append((own[freed[0]].start, _in_lines(run.items, text_of, layout)))
            continue
        if here and run.after is not None:
            placed.append((layout.after(node, run.after, column), _in_lines(here, text_of, layout)))
        else:
            ahead = run.items
        if ahead and run.before is not None:
            start = _start_before(layout, node, run.before)
            if start is None:
                # The first entry shares its line with a dash: what comes first goes after it.
                placed.append((layout.after(node, run.before, column), _in_lines(ahead, text_of, layout)))
            else:
                placed.append((start, _in_lines(ahead, text_of, layout)))
        elif ahead:
            placed.append((own[gone[0]].start, _in_lines(ahead, text_of, layout)))
    for lines in own.values():
        splices.replace(lines.start, lines.end, "")
    for at, text in placed:
        splices.insert(at, text)


def _in_lines(items: Sequence[Final], text_of: Callable[[Final], str], layout: Layout) -> str:
    return "".join(text_of(final) + layout.line_end for final in items)


def _split(run: Run) -> tuple[tuple[Final, ...], tuple[Final, ...]]:
    """Split new items into those that follow the item before and those that precede the item after."""
    if run.before is None:
        return run.items, ()
    count = next((index for index, final in enumerate(run.items) if final.before), len(run.items))
    return run.items[:count], run.items[count:]


def _between(index: int, run: Run) -> bool:
    return (run.after is None or index > run.after) and (run.before is None or index < run.before)


def _is_free(index: int, finals: Sequence[Final]) -> bool:
    return all(final.origin != index for final in finals)


def _start_before(layout: Layout, node: WrittenNode, index: int) -> int | None:
    """Return the start of an item's lines; ``None`` if it shares its first line with its own list's dash."""
    if node.keys and not layout.begins_line(node.extent(index)[0]):
        return None
    return layout.own_lines(node, index).start


def _in_blocks(layout: Layout, node: WrittenNode) -> bool:
    """Whether all items that have arguments have them in lines of their own."""
    inner = [child.children[0] for child in node.children if child.kind == "mapping" and len(child.children) == 1]
    open_ = [one for one in inner if one.children]
    return bool(open_) and all(not one.is_flow and layout.begins_line(one.start) for one in open_)
