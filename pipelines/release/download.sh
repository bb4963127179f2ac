#!/bin/sh
# Fetches this release and verifies it; started again, it goes on where it was stopped.
#
#   sh download.sh [BASE_URL [FOLDER]]
#
# Needs curl or wget, and sha256sum or shasum.
set -eu

default_url=@BASE_URL@
url=${1:-$default_url}
url=${url%/}
folder=${2:-.}

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

# fetch NAME FILE: adds to FILE what it lacks of NAME. Status 8: the server would not.
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

# obtain NAME DIGEST
obtain() {
    if [ -f "$1" ] && [ "$(digest "$1")" = "$2" ]; then
        return
    fi
    echo "$1"
    case $1 in */*) mkdir -p "${1%/*}" ;; esac
    part=$1.part
    begun=no
    if [ -s "$part" ]; then begun=yes; fi
    status=0
    fetch "$1" "$part" || status=$?
    # What was begun may be of another release, or the server may know no ranges.
    if [ $begun = yes ] && { [ $status = 8 ] || { [ $status = 0 ] && [ "$(digest "$part")" != "$2" ]; }; }; then
        rm -f "$part"
        status=0
        fetch "$1" "$part" || status=$?
    fi
    [ $status = 0 ] || fail "$url/$1 could not be fetched in full; start again to go on."
    if [ "$(digest "$part")" != "$2" ]; then
        rm -f "$part"
        fail "$url/$1 is not the file that SHA256SUMS tells of; ask who published it."
    fi
    mv "$part" "$1"
}

[ -n "$url" ] || fail "say where the release is: sh download.sh BASE_URL [FOLDER]"
mkdir -p "$folder"
cd "$folder"

sums=SHA256SUMS.part
rm -f $sums
fetch SHA256SUMS $sums || fail "there is no release at $url: it has no SHA256SUMS."
while read -r digest name; do
    case $name in
        "" | /* | ../* | */../* | */..) fail "SHA256SUMS has the file name '$name', which is not allowed." ;;
    esac
    obtain "$name" "$digest"
done <$sums
mv $sums SHA256SUMS
echo "The release is complete, and all files are as SHA256SUMS says."
