# Hardening, because the program reads untrusted files. tests/build/hardening.sh checks the built
# program: PIE, full RELRO, no executable stack, stack protector, fortify.
include(CheckPIESupported)
check_pie_supported()

add_library(rw_hardening INTERFACE)
target_compile_options(rw_hardening INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-fstack-protector-strong -fno-plt>)
target_compile_definitions(rw_hardening INTERFACE _GLIBCXX_ASSERTIONS)
# glibc's fortify needs optimisation, and the sanitizers replace it.
if(NOT ROPEWALK_SANITIZE)
  target_compile_definitions(rw_hardening INTERFACE
    $<$<CONFIG:Release,RelWithDebInfo>:_FORTIFY_SOURCE=2>)
endif()
target_link_options(rw_hardening INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)

set(ROPEWALK_SANITIZE "" CACHE STRING "Sanitizers for the whole build, such as address,undefined")
if(ROPEWALK_SANITIZE)
  add_compile_options(-fsanitize=${ROPEWALK_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${ROPEWALK_SANITIZE})
endif()

# The fuzzer sees coverage only where the rooms that a target links are instrumented too.
if(ROPEWALK_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "ROPEWALK_FUZZ needs clang++: use the preset \"fuzz\"")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()
