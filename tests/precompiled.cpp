// CMake compiles a precompiled header as part of a target, and a target needs a source.
