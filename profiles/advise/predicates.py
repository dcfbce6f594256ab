"""When a pipeline waits, as long as `verify/guessing` asks for it."""

from pipeprof.profiles.advise.ideas import HARDLY_COMPUTES
from pipeprof.profiles.advise.rule import Threshold

WAITING_CORES = Threshold(HARDLY_COMPUTES)
