#!/bin/sh
# Downloads this release and verifies it. Run it again to resume an interrupted download.
#
#   sh download.sh [BASE_URL [DIRECTORY]]
#
# Requires curl or wget, and sha256sum or shasum.
set -eu

default_url=@BASE_URL@
url=${1:-$default_url}
url=${url%/}
directory=${2:-.}

fail() {
    echo "download.sh: $*" >&2
    exit 1
}

digest() {
    if command -v sha256sum >/dev/null; then
        sha256sum "$1"
    else
        shasum -a 256 "$1"
    fi | cut -d ' ' -f 1
}

# fetch NAME FILE: appends the missing rest of NAME to FILE. Status 8: refused by the server.
fetch() {
    status=0
    if command -v curl >/dev/null; then
        curl --fail --location --silent --show-error --retry 3 --continue-at - --output "$2" "$url/$1" || status=$?
        case $status in 22 | 33 | 36) status=8 ;; esac
    else
        wget --quiet --tries 3 --continue --output-document "$2" "$url/$1" || status=$?
    fi
    return "$status"
}

# download NAME DIGEST
download() {
    if [ -f "$1" ] && [ "$(digest "$1")" = "$2" ]; then
        return
    fi
    echo "$1"
    case $1 in */*) mkdir -p "${1%/*}" ;; esac
    part=$1.part
    partial=no
    if [ -s "$part" ]; then partial=yes; fi
    status=0
    fetch "$1" "$part" || status=$?
    # The partial file may belong to another release, or the server may not support ranges.
    if [ $partial = yes ] && { [ $status = 8 ] || { [ $status = 0 ] && [ "$(digest "$part")" != "$2" ]; }; }; then
        rm -f "$part"
        status=0
        fetch "$1" "$part" || status=$?
    fi
    [ $status = 0 ] || fail "$url/$1 could not be downloaded completely; run the same command again to resume."
    if [ "$(digest "$part")" != "$2" ]; then
        rm -f "$part"
        fail "$url/$1 does not match SHA256SUMS; contact the publisher."
    fi
    mv "$part" "$1"
}

[ -n "$url" ] || fail "the URL of the release is missing; run: sh download.sh BASE_URL [DIRECTORY]"
mkdir -p "$directory"
cd "$directory"

sums=SHA256SUMS.part
rm -f $sums
fetch SHA256SUMS $sums || fail "$url is not a release: SHA256SUMS cannot be downloaded."
while read -r digest name; do
    case $name in
        "" | /* | ../* | */../* | */..) fail "SHA256SUMS contains the invalid file name '$name'." ;;
    esac
    download "$name" "$digest"
done <$sums
mv $sums SHA256SUMS
echo "The release is complete, and all checksums match."
