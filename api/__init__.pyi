from pipeprof.rewriting import apply as apply

__version__: str
