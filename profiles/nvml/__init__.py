"""GPUs as NVML sees them, where `nvidia-ml-py` is installed."""
