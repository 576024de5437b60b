#!/bin/sh
# Makes a CUDA 13 toolkit in a folder of its own out of NVIDIA's wheels on PyPI: nvcc, NVRTC, the
# headers and the runtime, about 200 MB to download. For machines without an installed toolkit.
#
#   cmake/fetch_cuda.sh DEST
#
# Needs python3 with pip and an x86-64 Linux. Versions and digests are pinned below. The folder
# appears complete or not at all; where it is already, nothing is done.
set -eu

if [ $# -ne 1 ]; then
  echo "usage: $0 DEST" >&2
  exit 2
fi
destination=$1
if [ -x "$destination/bin/nvcc" ]; then
  echo "$destination: already there"
  exit 0
fi
if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "$0: NVIDIA's wheels pinned here are for x86-64 Linux, not for $(uname -sm)" >&2
  exit 1
fi
if ! python3 -m pip --version > /dev/null 2>&1; then
  echo "$0: python3 with pip is needed: install the Debian package python3-pip" >&2
  exit 1
fi

mkdir -p "$(dirname "$destination")"
partial=$(mktemp -d "$destination.XXXXXX")
trap 'rm -rf "$partial"' EXIT

cat > "$partial/requirements.txt" << 'END'
nvidia-cuda-cccl==13.0.85 --hash=sha256:e0da7ad981f3a8aff08241b5bfc1af868742a63e2762f53a5171c492ef242649
nvidia-cuda-crt==13.0.88 --hash=sha256:2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4
nvidia-cuda-nvcc==13.0.88 --hash=sha256:56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03
nvidia-cuda-nvrtc==13.0.88 --hash=sha256:ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575
nvidia-cuda-runtime==13.0.96 --hash=sha256:7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548
nvidia-nvvm==13.0.88 --hash=sha256:c5f41ffeb6466944a026dfa5317d7d85355c119bbec279205d22f1869d1054e0
END

echo "downloading NVIDIA's CUDA wheels from PyPI ..."
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
  --require-hashes --requirement "$partial/requirements.txt" --dest "$partial/wheels"
for wheel in "$partial"/wheels/*.whl; do
  python3 -m zipfile -e "$wheel" "$partial/unpacked"
done

toolkit=$partial/unpacked/nvidia/cu13
chmod 755 "$toolkit"/bin/* "$toolkit"/nvvm/bin/*
# Programs that link by name look for names without a version.
for library in cudart nvrtc; do
  ln -s "lib$library.so.13" "$toolkit/lib/lib$library.so"
done
rm -rf "$toolkit/.metadata"
chmod 755 "$toolkit"
mv "$toolkit" "$destination"
echo "$destination: $("$destination/bin/nvcc" --version | tail -n 1)"
