# rw_add_module(NAME KIND kind SOURCES file... [USES library...])
#
# A backend or plugin: a MODULE library with hidden visibility whose one exported symbol is
# `ropewalk_module` (core/abi/plugin.h). It may include core/abi and nothing else of core/.
# KIND is the folder it is found in: backends, samplers, prompt-formats, rope-scaling.
set(RW_MODULE_EXPORTS ${CMAKE_CURRENT_LIST_DIR}/module.exports)

# Everything that is loaded at run time, so that targets that run the program can depend on it.
add_custom_target(modules ALL)

function(rw_add_module name)
  cmake_parse_arguments(MODULE "" "KIND" "SOURCES;USES" ${ARGN})
  add_library(${name} MODULE ${MODULE_SOURCES})
  target_precompile_headers(${name} REUSE_FROM rw_module_headers)
  target_link_libraries(${name} PRIVATE rw_abi rw_warnings rw_hardening ${MODULE_USES})
  target_link_options(${name} PRIVATE -Wl,--version-script=${RW_MODULE_EXPORTS} -Wl,--exclude-libs,ALL)
  set_target_properties(${name} PROPERTIES
    PREFIX "" SUFFIX ".so"
    LINK_DEPENDS ${RW_MODULE_EXPORTS}
    LIBRARY_OUTPUT_DIRECTORY ${ROPEWALK_MODULE_DIR}/${MODULE_KIND})
  add_dependencies(modules ${name})
  install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/ropewalk/${MODULE_KIND})
endfunction()
