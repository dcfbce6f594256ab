"""A training script's main dataset, taken where the script is about to iterate it; the script does not train."""
