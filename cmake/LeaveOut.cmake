# rw_leave_out(BACKEND REASON): says at configure time that a backend is not built and why. `ropewalk devices` and
# the error for a configuration that asks for it say the same.
function(rw_leave_out backend reason)
  message(STATUS "backend ${backend}: left out, ${reason}")
  set_property(GLOBAL APPEND PROPERTY RW_LEFT_OUT "${backend}: ${reason}")
endfunction()

# Tells the program what was left out. Call it when every backend has been added.
function(rw_compile_left_out)
  get_property(left_out GLOBAL PROPERTY RW_LEFT_OUT)
  list(JOIN left_out "\", \"" left_out)
  set_property(SOURCE ${CMAKE_SOURCE_DIR}/core/engine/devices.cpp DIRECTORY ${CMAKE_SOURCE_DIR}/core/engine
               APPEND PROPERTY COMPILE_DEFINITIONS "RW_LEFT_OUT=\"${left_out}\"")
endfunction()
