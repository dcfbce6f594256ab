"""The rules, one module each; the registry in `pipeprof.profiles.advise.rule` finds them."""
