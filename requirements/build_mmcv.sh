#!/usr/bin/env bash
# Compile mmcv 2.1.0 with its ops for the Python and torch of a virtual environment, once: the wheel is kept
# in a cache outside the checkout and later runs only print where it is.
# Usage: build_mmcv.sh VENV CACHE   (VENV holds requirements/openmmlab-build.lock); prints the wheel's folder.
set -euo pipefail
python=$1/bin/python
version=2.1.0

tag=$("$python" -c 'import sys, torch; print(f"cp{sys.version_info[0]}{sys.version_info[1]}-torch{torch.__version__}")')
folder=$2/wheels/$tag
if compgen -G "$folder/mmcv-$version-*.whl" >/dev/null; then
    echo "mmcv $version: using the wheel in $folder" >&2
    echo "$folder"
    exit
fi

mkdir -p "$folder"
# In the cache's own file system, so that the final mv is atomic and nobody ever sees half a wheel.
scratch=$(mktemp -d "$folder/.build-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

echo "compiling mmcv $version for $tag: 8 to 20 minutes on 2 cores, once; kept in $folder" >&2
start=$SECONDS
log=$scratch/build.log
status=0
MMCV_WITH_OPS=1 MAX_JOBS=${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)} \
    "$python" -m pip wheel --verbose --no-build-isolation --no-deps --no-cache-dir \
    --wheel-dir "$scratch" "mmcv==$version" 2>&1 | tee "$log" |
    while IFS= read -r line; do
        if [[ $line =~ ^\ *\[([0-9]+)/([0-9]+)\]\  ]]; then
            done=${BASH_REMATCH[1]} total=${BASH_REMATCH[2]} spent=$((SECONDS - start))
            ((done % 5 && done != total)) ||
                echo "mmcv: $done of $total files, $spent s, about $((spent * (total - done) / done)) s to go" >&2
        fi
    done || status=$?
if ((status)); then
    cp "$log" "$folder/failed.log"
    tail -n 40 "$log" >&2
    echo "error: compiling mmcv $version failed; it needs a C++17 compiler and Python's headers. Log: $folder/failed.log" >&2
    exit "$status"
fi
mv "$scratch"/mmcv-"$version"-*.whl "$folder"
echo "mmcv $version: compiled in $((SECONDS - start)) s" >&2
echo "$folder"
