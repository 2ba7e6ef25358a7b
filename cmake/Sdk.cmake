# What `cmake --install` installs beside the program and its modules: the headers that plugins
# include, the CMake package that builds them, the templates of `ropewalk new`, documents, and what
# shells and man read.
include(CMakePackageConfigHelpers)

set(ROPEWALK_INCLUDE_DIR ${CMAKE_INSTALL_INCLUDEDIR}/ropewalk)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/ropewalk)
set(ROPEWALK_DATA_DIR ${CMAKE_INSTALL_DATADIR}/ropewalk)

configure_package_config_file(
  ${CMAKE_SOURCE_DIR}/cmake/ropewalk-config.cmake.in
  ${CMAKE_BINARY_DIR}/${package}/ropewalk-config.cmake
  INSTALL_DESTINATION ${package} PATH_VARS ROPEWALK_INCLUDE_DIR CMAKE_INSTALL_BINDIR)
write_basic_package_version_file(
  ${CMAKE_BINARY_DIR}/${package}/ropewalk-config-version.cmake COMPATIBILITY SameMinorVersion)
# Where find_package() would look first; folders that were configured before this have it there.
file(REMOVE ${CMAKE_BINARY_DIR}/ropewalk-config.cmake
            ${CMAKE_BINARY_DIR}/ropewalk-config-version.cmake)
configure_file(${CMAKE_SOURCE_DIR}/cmake/module.exports
               ${CMAKE_BINARY_DIR}/${package}/module.exports COPYONLY)

install(DIRECTORY ${CMAKE_SOURCE_DIR}/core/abi/ DESTINATION ${ROPEWALK_INCLUDE_DIR}/core/abi
        FILES_MATCHING PATTERN "*.h")
install(DIRECTORY ${CMAKE_BINARY_DIR}/${package}/ DESTINATION ${package})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/plugins/templates ${CMAKE_SOURCE_DIR}/configs
        DESTINATION ${ROPEWALK_DATA_DIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/models/airophin-mini DESTINATION ${ROPEWALK_DATA_DIR}/models)

install(FILES ${CMAKE_SOURCE_DIR}/LICENSE ${CMAKE_SOURCE_DIR}/README.md ${CMAKE_SOURCE_DIR}/CHANGELOG.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/docs DESTINATION ${CMAKE_INSTALL_DOCDIR})

# What the program writes of itself: completion for shells, and the manual page.
set(written)
foreach(file_of "bash-completion/completions/ropewalk: completion bash"
                "fish/vendor_completions.d/ropewalk.fish: completion fish"
                "zsh/site-functions/_ropewalk: completion zsh" "man/man1/ropewalk.1: manual")
  string(REGEX MATCH "^(.*): (.*)$" matched "${file_of}")
  set(file ${CMAKE_INSTALL_DATADIR}/${CMAKE_MATCH_1})
  separate_arguments(command UNIX_COMMAND "${CMAKE_MATCH_2}")
  get_filename_component(folder ${file} DIRECTORY)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/${folder})
  add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/${file} DEPENDS ropewalk VERBATIM
                     COMMAND ropewalk ${command} > ${CMAKE_BINARY_DIR}/${file})
  install(FILES ${CMAKE_BINARY_DIR}/${file} DESTINATION ${folder})
  list(APPEND written ${CMAKE_BINARY_DIR}/${file})
endforeach()
add_custom_target(written ALL DEPENDS ${written})

# The build tree has the layout of the install tree here too.
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/${ROPEWALK_INCLUDE_DIR}/core)
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/core/abi ${CMAKE_BINARY_DIR}/${ROPEWALK_INCLUDE_DIR}/core/abi
     SYMBOLIC)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/${ROPEWALK_DATA_DIR})
foreach(folder plugins/templates configs models)
  get_filename_component(name ${folder} NAME)
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${folder} ${CMAKE_BINARY_DIR}/${ROPEWALK_DATA_DIR}/${name}
       SYMBOLIC)
endforeach()
