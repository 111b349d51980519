#!/usr/bin/env bash
# A folder of media files, one after another: compress.sh SOURCE FOLDER. What is in FOLDER already is not done again.
set -euo pipefail
for file in "$1"/*; do
  done="$2/$(basename "$file").gz"
  [ -e "$done" ] && continue
  gzip --stdout --no-name "$file" > "$done.part"
  mv "$done.part" "$done"
done
