"""Hugging Face, read side: models and datasets of a hub, and of mirrors that speak like it.

environment.py  which endpoint, whose token
listing.py      what a page of a listing says
refusals.py     what a refusal means
source.py       commits, listings and bytes
"""
