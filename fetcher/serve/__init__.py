"""`fetcher serve`: publishes a folder of repositories by ModelScope's read protocol.

`repositories` knows the disk, `protocol` the words of the hub, `answers` joins the two,
`hub` is the server.
"""
