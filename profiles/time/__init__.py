"""Time: stages, CPU account, bottleneck, verdict."""
