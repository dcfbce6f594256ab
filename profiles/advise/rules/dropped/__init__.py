"""Rules about work whose results are thrown away or made again."""
