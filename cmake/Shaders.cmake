# rw_embed_shaders(TARGET shader.comp... [INCLUDES file...])
#
# Compiles GLSL to SPIR-V with glslc and gives the target a generated header for each shader: the
# words of <stem>.comp as `inline constexpr uint32_t k_<stem>[]` in "shaders/<stem>.spv.h".
# "<stem>.comp@name" is <stem>.comp compiled again with NAME defined, as <stem>_name: for code that
# needs an optional capability, which a specialisation constant cannot switch off.
find_program(GLSLC glslc DOC "GLSL to SPIR-V compiler (Debian package glslc)")

function(rw_embed_shaders target)
  cmake_parse_arguments(SHADERS "" "" "INCLUDES" ${ARGN})
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/generated/shaders)
  file(MAKE_DIRECTORY ${folder})
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
    add_custom_command(
      OUTPUT ${folder}/${stem}.spv.h
      COMMAND ${GLSLC} --target-env=vulkan1.2 -O -Werror -mfmt=num ${define}
              -I ${CMAKE_CURRENT_SOURCE_DIR}/shaders
              -o ${folder}/${stem}.num ${CMAKE_CURRENT_SOURCE_DIR}/${shader}
      COMMAND ${CMAKE_COMMAND} -DWORDS=${folder}/${stem}.num -DHEADER=${folder}/${stem}.spv.h
              -DSTEM=${stem} -P ${CMAKE_SOURCE_DIR}/cmake/EmbedShader.cmake
      DEPENDS ${shader} ${SHADERS_INCLUDES} ${CMAKE_SOURCE_DIR}/cmake/EmbedShader.cmake
      VERBATIM)
    target_sources(${target} PRIVATE ${folder}/${stem}.spv.h)
  endforeach()
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/generated)
endfunction()
