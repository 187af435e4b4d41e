#!/bin/sh
# Install those of the named Debian packages that are missing, where that can be done without asking: as
# root, or by sudo without a password.  Elsewhere, the tests that need them skip and say so.
set -u

missing=""
for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "not a Debian system; tests that need one of these may skip:$missing"
    exit 0
fi
root=""
if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || { echo "without root; tests that need one of these will skip:$missing"; exit 0; }
    root="sudo -n"
fi

# RUNLEVEL=1: a server that is installed is not to be started.
install="$root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qq -y --no-install-recommends $missing"
$install >/dev/null 2>&1 || { $root apt-get update -qq && $install >/dev/null; } ||
    echo "could not be installed; tests that need one of these will skip:$missing"
