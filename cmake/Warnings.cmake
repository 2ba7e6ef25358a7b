# An interface target that all our targets link: warnings, as errors unless switched off.
add_library(rw_warnings INTERFACE)
target_compile_options(rw_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast
  -Wcast-align -Woverloaded-virtual -Wconversion -Wno-sign-conversion -Wimplicit-fallthrough>)
# A switch over an enumeration without a default must have a case for each enumerator, even where
# warnings are no errors: a new Op (core/abi/graph.h) compiles only when each backend has a case.
target_compile_options(rw_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror=switch>)
# GCC 12 reports false overlaps and overflows inside std::string's operator+ and moves (GCC bug 105329), and unset
# members of values that are moved. Clang, which the sanitizers use, has warnings of its own about the latter.
target_compile_options(rw_warnings INTERFACE $<$<CXX_COMPILER_ID:GNU>:
  -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-maybe-uninitialized>)
if(ROPEWALK_WERROR)
  target_compile_options(rw_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
