"""What is on disk: store, partials, placed files, index."""
