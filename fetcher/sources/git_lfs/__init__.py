"""Any git remote with or without git-lfs: commits and small files by git, large ones by LFS.

    remote.py      what a git+… source string names; safe to hand to git
    program.py     runs git: a safe environment, bounded output, no prompts
    complaints.py  what git says when it fails, as errors of ours
    scratch.py     a bare repository for one run: refs, trees, blobs
    access.py      who may ask a server of large files, and at which address
    batch.py       the LFS batch API: from a sha256 to a link
    bodies.py      bytes that git or the disk gives
    source.py      the source itself

Not in here: pointers (core/pointer.py), receiving bytes (transfer/), which token (sources/catalog.py).

Promises (tests/sources/test_git_lfs.py, test_git_program.py, test_git_batch.py, test_git_servers.py):
  * git never asks at a terminal, runs no hook and no filter, and takes only the protocol of the
    source string and those that are as safe;
  * no name from outside is ever an option of git or of ssh;
  * neither a token nor a signed link is in an argument, a log, an error or a file;
  * what is in the scratch repository is bounded, and gone when the run is over;
  * symbolic links and submodules are never taken for files.
"""
