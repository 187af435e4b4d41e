"""HTTP and credentials.  http.py is the only module that knows httpx."""
