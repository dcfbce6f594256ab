"""One kind of step per module, its instance in `KIND`; `registry` finds it."""
