"""One race for `run` and `fix`: changes measured side by side until it is known what they are.

- `decide` says when an entrant is decided: one spread for all, looks after 3 to 30 rounds, a second process.
- `pace` has the lengths of blocks and warm-ups, and how many pipelines have room; `race` measures one race.
- `combine` says what goes together, and what of several is taken; `search` has what `run` and `fix` race, and in which
  order: two small loops over a `track`, which has the workers.
- `run` and `fix` are what the commands call: `try_changes` and `find_best`. Both are given their changes, as
  `Proposal`s, most promising first. `result` and `bounds` write what was found.
"""
