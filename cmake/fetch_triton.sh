#!/bin/sh
# Makes a Python environment with Triton and nothing else in a folder of its own, from PyPI: about
# 180 MB to download, 670 MB on disk. Triton brings its own ptxas; torch is not needed.
#
#   cmake/fetch_triton.sh DEST
#
# Needs python3 with pip and an x86-64 Linux. python/requirements.txt pins version and digests. The
# folder appears complete or not at all; where it is already, nothing is done.
set -eu

if [ $# -ne 1 ]; then
  echo "usage: $0 DEST" >&2
  exit 2
fi
destination=$1
requirements=$(dirname "$0")/../python/requirements.txt
if cmp -s "$requirements" "$destination/requirements.txt"; then
  echo "$destination: already there"
  exit 0
fi
if ! python3 -m pip --version > /dev/null 2>&1; then
  echo "$0: python3 with pip is needed: install the Debian package python3-pip" >&2
  exit 1
fi

mkdir -p "$(dirname "$destination")"
partial=$(mktemp -d "$destination.XXXXXX")
trap 'rm -rf "$partial"' EXIT
# Without pip of its own, which Debian keeps in another package: the system's pip fills it.
python3 -m venv --without-pip "$partial/venv"
echo "downloading Triton from PyPI ..."
python3 -m pip --python "$partial/venv/bin/python" install --quiet --disable-pip-version-check \
  --no-deps --only-binary :all: --require-hashes --requirement "$requirements"
cp "$requirements" "$partial/venv/requirements.txt"
chmod 755 "$partial/venv"
rm -rf "$destination"
mv "$partial/venv" "$destination"
echo "$destination: Triton $("$destination/bin/python" -c 'import triton; print(triton.__version__)')"
