"""`fetcher serve`: publishes a folder of repositories by the hub's read protocol."""
