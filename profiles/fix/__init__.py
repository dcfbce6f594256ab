"""The search for the fastest pipeline that is proven."""
