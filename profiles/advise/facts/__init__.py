"""What findings and ideas ask of a view: which stages have work, what they hold, and where else they could stand."""
