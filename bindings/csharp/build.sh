#!/bin/sh
# Compiles ObsAbort.dll, its documentation and its symbols with mcs: build.sh FOLDER. The assembly refers to nothing but what
# .NET Standard 2.0 has, and runs on .NET Framework, Mono and .NET.
set -eu
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
mcs -langversion:experimental -warnaserror -target:library -optimize+ -debug:portable -deterministic \
    -doc:"$out/ObsAbort.xml" -out:"$out/ObsAbort.dll" ./*.cs
cp ObsAbort.dll.config "$out"
