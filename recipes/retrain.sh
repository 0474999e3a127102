#!/usr/bin/env bash
# Trains the front end and the law of slopes, makes the data, trains the three stages and puts the weights where the package ships them.
# Resumable: run it again.
# The shipped run took the VAE's stages on one GPU and shared every batch of the last stage between two processes of a CPU;
# DEVICES=1 gives other roundings there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

mkdir -p src/resinflow/presets/weights
for drawn in surface tilts; do # they learn from media that are drawn meanwhile
  resinflow train "$drawn" --run "runs/$drawn" --recipe "recipes/$drawn.yaml"
  rm -rf "src/resinflow/presets/weights/$drawn"
  cp -r "runs/$drawn/model" "src/resinflow/presets/weights/$drawn"
done

resinflow data generate recipes/data-train.yaml data/train.zarr
resinflow data generate recipes/data-small.yaml data/small.zarr
for stage in vae3d vae2d; do
  resinflow train "$stage" --data data/train.zarr --run runs/small-vae --recipe recipes/small.yaml
done
resinflow train diffusion --data data/small.zarr --run runs/small --start runs/small-vae --recipe recipes/small.yaml \
  --devices "${DEVICES:-2}"
resinflow model calibrate runs/small/model --data data/small.zarr
rm -rf src/resinflow/presets/weights/small
cp -r runs/small/model src/resinflow/presets/weights/small
resinflow evaluate --data data/small.zarr --model small --output runs/small/test.csv
