# rw_add_room(NAME [COLD] SOURCES file... [LINKS target...] [USES library...])
#
# A room of core/ is one folder, one static library and one purpose. LINKS names the rooms it
# includes, USES the third-party libraries that it alone may include. Those are linked privately, so
# that a room which includes their headers by accident does not build. COLD: it runs before the first token and after the
# last, not for each.
function(rw_add_room name)
  cmake_parse_arguments(ROOM "COLD" "" "SOURCES;LINKS;USES" ${ARGN})
  if(ROOM_SOURCES)
    add_library(rw_${name} STATIC ${ROOM_SOURCES})
    if(ROOM_COLD)
      rw_cold(rw_${name})
    else()
      target_precompile_headers(rw_${name} REUSE_FROM rw_room_headers)
    endif()
    set(public PUBLIC)
    set(private PRIVATE)
  else()
    add_library(rw_${name} INTERFACE)
    set(public INTERFACE)
    set(private INTERFACE)
  endif()
  target_include_directories(rw_${name} ${public} ${CMAKE_SOURCE_DIR})
  target_link_libraries(rw_${name} ${public} ${ROOM_LINKS}
                        ${private} rw_warnings rw_hardening ${ROOM_USES})
endfunction()

# -O1 takes a quarter of the compiler's time less than -O3. The precompiled header has to agree.
function(rw_cold target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
  target_precompile_headers(${target} REUSE_FROM rw_cold_headers)
endfunction()
