"""`fetcher serve`: publishes a folder of repositories by ModelScope's read protocol.

`repositories` knows the disk, `protocol` the words of the hub, `answers` joins the two,
`wire` has requests and replies, `hub` is the server.
"""
