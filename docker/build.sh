#!/bin/sh
# Builds what the image runs, in the current directory: dist/, native/build/ and node_modules/ with production dependencies only.
# The Dockerfile and scripts/prove-image.sh both run this file, so what is proven is what is built.
set -eu
# No install scripts: the development tool `node` would download a second Node.js, `prepare` would patch the type checker.
npm ci --ignore-scripts --no-audit --no-fund
# The native parts, which a compiler makes where there is no prebuilt one. They are optional: without them the wasm decoder takes over.
npm rebuild @discordjs/opus bufferutil || echo "no native Opus decoder, the wasm decoder will be used"
# The image copies this folder, also where nothing could be built.
mkdir -p native/build
node native/build.mjs
node node_modules/typescript/bin/tsc -p tsconfig.build.json
# `effect` is a peer dependency (hosts that embed us share their copy) and a development dependency here: without the latter entry it is
# a dependency like others, and stays at the version of the lockfile. Nothing is left to install or prepare.
npm pkg delete devDependencies scripts.prepare scripts.install
# There are no sources in the image.
npm pkg set scripts.model="node dist/model.js"
npm prune --ignore-scripts --no-audit --no-fund
