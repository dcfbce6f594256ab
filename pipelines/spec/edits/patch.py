"""The changes of a text that give it other data, with everything else left as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from pipeprof.pipelines.spec.edits.apply_data import OPTIONS, EditPlan
from pipeprof.pipelines.spec.edits.items import Final, Run, runs, staying
from pipeprof.pipelines.spec.edits.layout import Layout, Splices
from pipeprof.pipelines.spec.edits.new_text import block_lines, entry_lines, item_lines, like
from pipeprof.pipelines.spec.edits.places import SOURCE, STAGES, EditError, Path, same
from pipeprof.pipelines.spec.edits.tree import WrittenNode
from pipeprof.pipelines.spec.yaml.tree import operation_key
from pipeprof.pipelines.spec.yaml.writer import WIDTH, flow, scalar


def patch_flow(splices: Splices, layout: Layout, node: WrittenNode, finals: Sequence[Final]) -> None:
    """Bring items in brackets in their new order; what is inside of them has been changed before."""
    if _has_own_lines(layout, node):
        _by_lines(splices, layout, node, finals)
    else:
        _inline(splices, layout, node, finals)


def _text(splices: Splices, node: WrittenNode, final: Final) -> str:
    if final.origin is not None:
        return splices.render(*node.extent(final.origin))
    return f"{scalar(final.key)}: {flow(final.value)}" if final.key is not None else flow(final.value)


def _inline(splices: Splices, layout: Layout, node: WrittenNode, finals: Sequence[Final]) -> None:
    stay = staying(finals)
    extents = [node.extent(index) for index in range(len(node.children))]
    placed: list[tuple[int, str]] = []
    for run in runs(finals):
        texts = [_text(splices, node, final) for final in run.items]
        if run.after is not None:
            placed.append((extents[run.after][1], "".join(f", {text}" for text in texts)))
        elif run.before is not None:
            placed.append((extents[run.before][0], "".join(f"{text}, " for text in texts)))
        else:
            placed.append((extents[0][0], ", ".join(texts)))
    for index, extent in enumerate(extents):
        if index in stay:
            continue
        start, end = extent
        if index and (not stay or min(stay) < index):
            start = extents[index - 1][1]
        elif stay:
            end = extents[index + 1][0]
        if not finals and (comma := _comma(layout, node, index)) is not None:
            end = max(end, comma + 1)
        lines = layout.text[start:end].splitlines()
        if len(lines) > 1 and any(line.lstrip(", ").startswith("#") for line in lines):
            message = (
                f"line {layout.number(start)}: a comment stands between the items in brackets; write them as a block"
            )
            raise EditError(message)
        splices.replace(start, end, "")
    for at, text in placed:
        splices.insert(at, text)


def _has_own_lines(layout: Layout, node: WrittenNode) -> bool:
    starts = [node.extent(index)[0] for index in range(len(node.children))]
    return all(layout.begins_line(at) for at in (*starts, node.end - 1))


def _comma(layout: Layout, node: WrittenNode, index: int) -> int | None:
    """The offset of the comma after an item, in the item's own last line."""
    end = node.extent(index)[1]
    rest = layout.text[end : layout.line_stop(end)]
    return end + rest.index(",") if rest.lstrip().startswith(",") else None


def _by_lines(splices: Splices, layout: Layout, node: WrittenNode, finals: Sequence[Final]) -> None:
    count = len(node.children)
    commas = [_comma(layout, node, index) for index in range(count)]
    if any(comma is None for comma in commas[:-1]):
        message = f"line {layout.number(node.start)}: a comma of this list begins a line; write the list as a block"
        raise EditError(message)
    ends_with_comma = commas[-1] is not None
    stay = staying(finals)
    last = finals[-1] if finals else None
    for final in finals:
        wanted = final is not last or ends_with_comma
        if final.origin is None:
            continue
        comma, end = commas[final.origin], node.extent(final.origin)[1]
        if wanted and comma is None:
            splices.insert(end, ",")
        elif not wanted and comma is not None:
            splices.replace(comma, comma + 1, "")
    lines = [_own_lines(layout, node, index) for index in range(count)]
    indent = " " * layout.column(node.extent(0)[0])

    def text_of(final: Final) -> str:
        if final.origin is not None:
            return splices.render(*lines[final.origin]).rstrip("\r\n")
        comma = "," if final is not last or ends_with_comma else ""
        return f"{indent}{_text(splices, node, final)}{comma}"

    placed: list[tuple[int, str]] = []
    for run in runs(finals):
        text = "".join(text_of(final) + layout.line_end for final in run.items)
        if run.after is not None:
            placed.append((lines[run.after][1], text))
        else:
            placed.append((lines[run.before if run.before is not None else 0][0], text))
    for index in range(count):
        if index not in stay:
            splices.replace(*lines[index], "")
    for at, text in placed:
        splices.insert(at, text)


def _own_lines(layout: Layout, node: WrittenNode, index: int) -> tuple[int, int]:
    """The lines of an item with the comments directly before it, and where the line after them begins."""
    at, end = node.extent(index)
    start = layout.line_start(at)
    floor = node.extent(index - 1)[1] if index else node.start
    while layout.line_start(start - 1) > floor and layout.is_comment(start - 1):
        start = layout.line_start(start - 1)
    return start, layout.next_line(end)


def patch_block(splices: Splices, layout: Layout, node: WrittenNode, finals: Sequence[Final]) -> None:
    """Bring the items of a block in their new order; what is inside of them has been changed before."""
    stay = staying(finals)
    column = layout.block_column(node)
    inner = [child.children[0] for child in node.children if child.kind == "mapping" and len(child.children) == 1]
    open_ = [one for one in inner if one.children]
    as_block = bool(open_) and all(not one.is_flow and layout.begins_line(one.start) for one in open_)
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


CHAIN = "ops"
"""The key of a chain of calls."""
_AFTER = {STAGES: (SOURCE,), OPTIONS: (STAGES, SOURCE)}
"""What a new key comes after, where one of these is there."""


@dataclass(frozen=True)
class Wrapped:
    """A stretch of the text, and what stands there afterwards."""

    start: int
    end: int
    text: str


def wrap(layout: Layout, node: WrittenNode, before: list[Any], after: Any) -> Wrapped | None:
    """Put a written list into the lists and mappings of one entry each that the new value has around it.

    Returns:
        None where the new value is another one, where the list is on one line, which is better written anew, or where
        it shares its first line.
    """
    keys = _keys_to(before, after)
    if not keys or not node.children:
        return None
    if node.is_flow:
        text = layout.text[node.start : node.end]
        opening = "".join("[" if key is None else f"{{{scalar(key)}: " for key in keys)
        closing = "".join("]" if key is None else "}" for key in reversed(keys))
        return Wrapped(node.start, node.end, opening + text + closing) if "\n" in text else None
    at = layout.item_start(node, 0)
    if not layout.begins_line(at) or keys[-1] is None:
        return None
    return _wrap_block(layout, node, keys, layout.column(at))


def _keys_to(before: list[Any], after: Any) -> list[str | None]:
    """The keys around a value, None for a list; empty where it is not the only value inside of the other one."""
    keys: list[str | None] = []
    while not same(before, after):
        if not isinstance(after, list | dict) or len(after) != 1:
            return []
        key = next(iter(after)) if isinstance(after, dict) else None
        keys.append(key)
        after = after[0 if key is None else key]
    return keys


def _wrap_block(layout: Layout, node: WrittenNode, keys: list[str | None], column: int) -> Wrapped:
    own = layout.own_lines(node, 0)
    end = layout.after(node, len(node.children) - 1, column)
    lines, start, inner = [], " " * column, column
    for key in keys:
        inner += 2
        if key is None:
            start += "- "
        else:
            lines.append(f"{start}{scalar(key)}:")
            start = " " * inner
    shift = " " * (inner - column)
    lines += [shift + line if line.strip() else line for line in layout.text[own.start : end].splitlines()]
    return Wrapped(own.start, end, "".join(line + layout.line_end for line in lines))


class Patcher:
    """Compares data before and after by their nodes in the text, and collects the changes."""

    def __init__(self, text: str, aliases: dict[str, int], plan: EditPlan) -> None:
        self.splices = Splices(text)
        self._layout = Layout(text)
        self._aliases = aliases
        self._lists = plan.lists
        self._in_brackets = 0

    def patch(self, path: Path, node: WrittenNode, before: Any, after: Any) -> None:
        """Collect the changes of a value."""
        if same(before, after):
            return
        self._check_single(path, node)
        self._in_brackets += node.is_flow
        self._patch(path, node, before, after)
        self._in_brackets -= node.is_flow

    def _patch(self, path: Path, node: WrittenNode, before: Any, after: Any) -> None:
        if path and path[-1] == STAGES and path[:-1] in self._lists and node.kind == "sequence":
            items = self._lists[path[:-1]].items
            finals = []
            for item in items:
                if item.origin is not None:
                    self.patch((*path, item.origin), node.children[item.origin], before[item.origin], item.value)
                finals.append(Final(item.origin, item.value, None, item.moved, item.before, item.replaces))
            self._items(node, finals)
        elif self._outgrows_its_line(node, after):
            self._replace(node, after)
        elif node.kind == "mapping" and isinstance(before, dict) and isinstance(after, dict):
            self._mapping(path, node, before, after)
        elif node.kind == "sequence" and (wrapped := wrap(self._layout, node, before, after)) is not None:
            self.splices.replace(wrapped.start, wrapped.end, wrapped.text)
        elif node.kind == "sequence" and isinstance(after, list) and path[-1] == CHAIN and node.children:
            self._chain(path, node, before, after)
        elif node.kind == "sequence" and isinstance(after, list) and len(before) == len(after) == len(node.children):
            for index, child in enumerate(node.children):
                self.patch((*path, index), child, before[index], after[index])
        else:
            self._replace(node, after)

    def _check_single(self, path: Path, node: WrittenNode) -> None:
        where = ".".join(map(str, path)) or "the spec"
        line = self._layout.number(node.start)
        if node.kind == "alias":
            raise EditError(f"{where} is the alias *{node.anchor} (line {line}): write it out there to change it")
        if node.anchor is not None and self._aliases.get(node.anchor):
            raise EditError(
                f"{where} has the anchor &{node.anchor} (line {line}), and an alias uses it too: the edit would change "
                "both; write one of them out"
            )

    def _chain(self, path: Path, node: WrittenNode, before: list[Any], after: list[Any]) -> None:
        """Calls of the same functions at the beginning and the end stay; what is between them is written anew."""
        start = _equal(zip(before, after, strict=False))
        end = _equal(zip(reversed(before[start:]), reversed(after[start:]), strict=False))
        if not start + end:
            self._replace(node, after)
            return
        origins = [*range(start), *range(len(before) - end, len(before))]
        places = [*range(start), *range(len(after) - end, len(after))]
        for origin, place in zip(origins, places, strict=True):
            self.patch((*path, origin), node.children[origin], before[origin], after[place])
        new = [Final(None, value, replaces=True) for value in after[start : len(after) - end]]
        finals = [Final(origin) for origin in origins]
        finals[start:start] = new
        if new or len(origins) < len(before):
            self._items(node, finals)

    def _mapping(self, path: Path, node: WrittenNode, before: dict[Any, Any], after: dict[Any, Any]) -> None:
        finals: list[Final] = []
        for index, child in enumerate(node.children):
            key = node.key_of(index)
            if key == STAGES and key not in after and self._keeps_key(node, index):
                self.patch((*path, key), child, before[key], [])
                finals.append(Final(index, None))
            elif key is None or key in after:
                if key is not None:
                    self.patch((*path, key), child, before[key], after[key])
                finals.append(Final(index, None))
        own = {node.key_of(final.origin) for final in finals if final.origin is not None}
        for key, value in after.items():
            if key in own or (key in before and same(before[key], value) and node.find(key) is None):
                continue
            finals.insert(self._place(node, key, finals), Final(None, value, str(key), replaces=key not in _AFTER))
        gone = [key for key in before if key not in after and node.find(key) is None]
        if gone:
            message = f"{gone[0]} comes from the mapping that '<<' merges (line {self._layout.number(node.start)})"
            raise EditError(message)
        if [final.origin for final in finals] != list(range(len(node.children))):
            self._items(node, finals)

    def _keeps_key(self, node: WrittenNode, index: int) -> bool:
        """Whether the key of an emptied list stays: it has a comment, or shares its line with a dash."""
        key, child, layout = node.keys[index], node.children[index], self._layout
        if node.is_flow:
            return False
        if not layout.begins_line(key.start):
            return True
        end = child.end if child.is_flow else key.end
        if "#" in layout.text[end : layout.line_stop(end)]:
            return True
        return layout.own_lines(node, index).start != layout.line_start(key.start)

    def _place(self, node: WrittenNode, key: str | int, finals: list[Final]) -> int:
        """Return the place of a new key: at the end, unless it has a place of its own."""
        for name in _AFTER.get(str(key), ()):
            for index, final in enumerate(finals):
                if final.key == name or (final.origin is not None and node.key_of(final.origin) == name):
                    return index + 1
        return len(finals)

    def _items(self, node: WrittenNode, finals: list[Final]) -> None:
        if not node.children:
            self._replace(node, _fresh(node, finals))
        elif node.is_flow:
            patch_flow(self.splices, self._layout, node, finals)
        elif finals:
            patch_block(self.splices, self._layout, node, finals)
        else:
            self._replace(node, {} if node.keys else [])

    def _outgrows_its_line(self, node: WrittenNode, value: Any) -> bool:
        """Whether a chain in brackets fits its line, and the new one would not: it gets lines of its own."""
        start, end = node.start, node.end
        if not node.is_flow or not isinstance(value, dict) or CHAIN not in value:
            return False
        if "\n" in self._layout.text[start:end] or not self._in_block(node):
            return False
        column = self._layout.column(start)
        return column + end - start <= WIDTH < column + len(flow(value))

    def _replace(self, node: WrittenNode, value: Any) -> None:
        text = self._layout.text
        if node.kind in ("sequence", "mapping") and not node.is_flow:
            self._replace_block(node, value)
            return
        new = like(value, text[node.start : node.end])
        if not self._in_brackets and operation_key(value) is not None and self._is_item(node):
            # A call in a line of its own has no braces around it.
            new = new.removeprefix("{").removesuffix("}")
        column = self._layout.column(node.start)
        is_wide = column + len(new) > WIDTH and isinstance(value, dict | list) and bool(value)
        if is_wide and self._in_block(node):
            indent = self._layout.indent(node.start)
            dashes = len(text[self._layout.line_start(node.start) : node.start].lstrip()) - len(
                text[self._layout.line_start(node.start) : node.start].lstrip().lstrip("- ")
            )
            lines = block_lines(value, indent + dashes + 2)
            start = len(text[: node.start].rstrip(" "))
            self.splices.replace(start, node.end, "".join(self._layout.line_end + line for line in lines))
            return
        if node.is_empty:
            before = text[: node.start].rstrip(" \t")
            space = "" if text[node.start - 1 : node.start] in (" ", "\t") else " "
            new = f"{space}{new}" if before.endswith((":", "-")) else f": {new}"
        self.splices.replace(node.start, node.end, new)

    def _is_item(self, node: WrittenNode) -> bool:
        return self._layout.text[self._layout.line_start(node.start) : node.start].strip() == "-"

    def _in_block(self, node: WrittenNode) -> bool:
        before = self._layout.text[self._layout.line_start(node.start) : node.start].strip()
        after = self._layout.text[node.end : self._layout.line_stop(node.end)].strip()
        return self._in_brackets == node.is_flow and before.endswith(":") and not after

    def _replace_block(self, node: WrittenNode, value: Any) -> None:
        layout = self._layout
        first, end = self._begin(node), node.end
        if isinstance(value, dict | list) and value:
            lines = block_lines(value, layout.column(first))
            self.splices.replace(first, end, layout.line_end.join(lines).lstrip(" "))
            return
        new = flow(value) if isinstance(value, dict | list) else like(value, "")
        if layout.text[layout.line_start(first) : first].rstrip().endswith("-"):
            self.splices.replace(first, end, new)
            return
        # Nothing is left for lines of its own: it goes to the line of its key.
        line = layout.line_start(first)
        key_end = line
        while key_end > 0 and (layout.is_comment(key_end - 1) or not _content(layout, key_end - 1)):
            key_end = layout.line_start(key_end - 1)
        stop = layout.line_start(max(key_end - 1, 0))
        colon = layout.text.find(":", stop, layout.line_stop(stop))
        words = layout.text[stop : layout.line_stop(stop)]
        if colon < 0 or words.split("#")[0].rstrip()[-1:] != ":" or not layout.begins_line(first):
            message = f"line {layout.number(first)}: nothing would be left of this value; write it in one line first"
            raise EditError(message)
        self.splices.insert(stop + len(words.split("#")[0].rstrip()), f" {new}")
        self.splices.replace(line, layout.next_line(max(end - 1, 0)), "")

    def _begin(self, node: WrittenNode) -> int:
        return node.keys[0].start if node.keys else self._layout.item_start(node, 0)


def _equal(pairs: Iterable[tuple[Any, Any]]) -> int:
    return sum(1 for _ in takewhile(lambda pair: _called(pair[0]) == _called(pair[1]), pairs))


def _called(call: Any) -> Any:
    return operation_key(call) if isinstance(call, dict) else call


def _content(layout: Layout, at: int) -> str:
    return layout.text[layout.line_start(at) : layout.line_stop(at)].strip()


def _fresh(node: WrittenNode, finals: list[Final]) -> Any:
    if node.kind == "mapping":
        return {final.key: final.value for final in finals}
    return [final.value for final in finals]
