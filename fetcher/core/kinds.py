"""The kinds of source by their names, which are part of every source string (design 2).

What a source string is stands in manifest.py; what leads where, in sources/catalog.py.
"""

from enum import StrEnum

MODELSCOPE = "modelscope"
HUGGINGFACE = "huggingface"
GIT = "git"
HUB_KINDS = (MODELSCOPE, HUGGINGFACE)
SHORT_FORMS = {"ms": MODELSCOPE, "hf": HUGGINGFACE}
GIT_SCHEMES = ("git+https", "git+ssh", "git+file", "git+http")
URL_SCHEMES = ("https", "http")
FOLDER = "file"
BUILT_IN_SCHEMES = (*HUB_KINDS, *GIT_SCHEMES, *URL_SCHEMES, FOLDER)


class CacheLayout(StrEnum):
    """Whose cache files are laid out as; the names are those of the hubs."""

    modelscope = MODELSCOPE
    huggingface = HUGGINGFACE
