"""The pages of docs/ that are made from the code: what makes them, and what is checked of all pages."""
