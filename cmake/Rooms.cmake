# rw_add_room(NAME SOURCES file... [LINKS target...] [USES library...])
#
# A room of core/ is one folder, one static library and one purpose. LINKS names the rooms it
# includes, USES the third-party libraries that it alone may include. Those are linked privately, so
# that a room which includes their headers by accident does not build.
function(rw_add_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LINKS;USES" ${ARGN})
  if(ROOM_SOURCES)
    add_library(rw_${name} STATIC ${ROOM_SOURCES})
    target_precompile_headers(rw_${name} REUSE_FROM rw_room_headers)
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
