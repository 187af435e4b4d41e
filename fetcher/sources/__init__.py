"""Where bytes come from.  One module a kind; they do not know each other."""
