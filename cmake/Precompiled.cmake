# rw_precompile(NAME HEADER [library...])
#
# NAME is what targets hand to `target_precompile_headers(... REUSE_FROM NAME)`: HEADER, a path from the tree's root, compiled
# once for all of them. They must have the same options, so that a room and a module have one each. Parsing the same standard
# headers for every source takes up to half of the compiler's time without it.
function(rw_precompile name header)
  # A target needs a source.
  file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp CONTENT "")
  add_library(${name} OBJECT ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp)
  target_link_libraries(${name} PRIVATE rw_warnings rw_hardening ${ARGN})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  # In angle brackets CMake writes no absolute path, so that ccache finds it from another working tree.
  target_precompile_headers(${name} PRIVATE <${header}>)
endfunction()

# So that ccache can keep what is compiled with them; CMakePresets.json has its half.
add_compile_options($<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fpch-preprocess>)
