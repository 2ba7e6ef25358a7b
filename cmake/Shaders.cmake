# rw_embed_shaders(TARGET shader.comp... [INCLUDES file...])
#
# Compiles GLSL to SPIR-V with glslc and gives the target a generated header for each shader: the
# words of <stem>.comp as `inline constexpr uint32_t k_<stem>[]` in "shaders/<stem>.spv.h".
# "<stem>.comp@name" is <stem>.comp compiled again with NAME defined, as <stem>_name: for code that
# needs an optional capability, which a specialisation constant cannot switch off.
# The variant "cooperative" is compiled by a glslang that knows GL_KHR_cooperative_matrix, which Debian 12's glslc does
# not. Without one its header holds no words, and a line says so.
find_program(GLSLC glslc DOC "GLSL to SPIR-V compiler (Debian package glslc)")
find_program(GLSLANG glslang PATHS ${CMAKE_SOURCE_DIR}/build/glslang/cmeel.prefix/bin
             DOC "GLSL to SPIR-V compiler for cooperative matrices (glslang 13 or later)")

# Sets RW_GLSLANG to the command line of GLSLANG where it compiles cmake/cooperative.comp, else to nothing. The one of
# cmeel finds its libraries only where it is told.
function(rw_probe_glslang)
  set(RW_GLSLANG "" PARENT_SCOPE)
  if(GLSLANG)
    get_filename_component(folder ${GLSLANG} DIRECTORY)
    set(command ${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=${folder}/../lib ${GLSLANG} --target-env vulkan1.2)
    execute_process(COMMAND ${command} -o ${CMAKE_BINARY_DIR}/cooperative.spv ${CMAKE_SOURCE_DIR}/cmake/cooperative.comp
                    RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
    if(result EQUAL 0)
      set(RW_GLSLANG ${command} PARENT_SCOPE)
      return()
    endif()
  endif()
  message(STATUS "backend vulkan: without matrix cores, no glslang that knows GL_KHR_cooperative_matrix "
                 "(pip install --target build/glslang -r tools/vulkan/requirements.txt)")
endfunction()

function(rw_embed_shaders target)
  cmake_parse_arguments(SHADERS "" "" "INCLUDES" ${ARGN})
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/generated/shaders)
  file(MAKE_DIRECTORY ${folder})
  rw_probe_glslang()
  foreach(shader ${SHADERS_UNPARSED_ARGUMENTS})
    set(define)
    if(shader MATCHES "^(.*)@(.*)$")
      set(shader ${CMAKE_MATCH_1})
      set(variant ${CMAKE_MATCH_2})
      string(TOUPPER ${variant} define)
      set(define -D${define})
    else()
      set(variant)
    endif()
    get_filename_component(stem ${shader} NAME_WE)
    if(variant)
      string(APPEND stem _${variant})
    endif()
    set(compile ${GLSLC} --target-env=vulkan1.2 -O -Werror -mfmt=num ${define} -I ${CMAKE_CURRENT_SOURCE_DIR}/shaders)
    if("${variant}" STREQUAL "cooperative")
      if(NOT RW_GLSLANG)
        file(CONFIGURE OUTPUT ${folder}/${stem}.spv.h CONTENT
          "#pragma once\n#include <cstdint>\n#include <span>\nnamespace ropewalk::vulkan::spirv {\n\
inline constexpr std::span<const uint32_t> k_${stem};\n}\n")
        continue()
      endif()
      set(compile ${RW_GLSLANG} --quiet -x ${define} -I${CMAKE_CURRENT_SOURCE_DIR}/shaders)
    endif()
    add_custom_command(
      OUTPUT ${folder}/${stem}.spv.h
      COMMAND ${compile}
              -o ${folder}/${stem}.num ${CMAKE_CURRENT_SOURCE_DIR}/${shader}
      COMMAND ${CMAKE_COMMAND} -DWORDS=${folder}/${stem}.num -DHEADER=${folder}/${stem}.spv.h
              -DSTEM=${stem} -P ${CMAKE_SOURCE_DIR}/cmake/EmbedShader.cmake
      DEPENDS ${shader} ${SHADERS_INCLUDES} ${CMAKE_SOURCE_DIR}/cmake/EmbedShader.cmake
      VERBATIM)
    target_sources(${target} PRIVATE ${folder}/${stem}.spv.h)
  endforeach()
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/generated)
endfunction()
