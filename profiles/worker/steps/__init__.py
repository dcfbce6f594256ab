"""Steps: loop, device, warm-up, window, statistics."""
