"""A user's package; importing it prints, as some do."""

print("flowers are being imported")
