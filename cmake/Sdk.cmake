# What `cmake --install` installs beside the program and its modules: the headers that plugins
# include, the CMake package that builds them, and the templates of `ropewalk new`.
include(CMakePackageConfigHelpers)

set(ROPEWALK_INCLUDE_DIR ${CMAKE_INSTALL_INCLUDEDIR}/ropewalk)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/ropewalk)
set(ROPEWALK_DATA_DIR ${CMAKE_INSTALL_DATADIR}/ropewalk)

configure_package_config_file(
  ${CMAKE_SOURCE_DIR}/cmake/ropewalk-config.cmake.in ${CMAKE_BINARY_DIR}/ropewalk-config.cmake
  INSTALL_DESTINATION ${package} PATH_VARS ROPEWALK_INCLUDE_DIR CMAKE_INSTALL_BINDIR)
write_basic_package_version_file(
  ${CMAKE_BINARY_DIR}/ropewalk-config-version.cmake COMPATIBILITY SameMinorVersion)

install(DIRECTORY ${CMAKE_SOURCE_DIR}/core/abi/ DESTINATION ${ROPEWALK_INCLUDE_DIR}/core/abi
        FILES_MATCHING PATTERN "*.h")
install(FILES ${CMAKE_BINARY_DIR}/ropewalk-config.cmake
              ${CMAKE_BINARY_DIR}/ropewalk-config-version.cmake ${CMAKE_SOURCE_DIR}/cmake/module.exports
        DESTINATION ${package})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/plugins/templates ${CMAKE_SOURCE_DIR}/configs
        DESTINATION ${ROPEWALK_DATA_DIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/models/airophin-mini DESTINATION ${ROPEWALK_DATA_DIR}/models)

# The build tree has the layout of the install tree here too.
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/${ROPEWALK_DATA_DIR})
foreach(folder plugins/templates configs models)
  get_filename_component(name ${folder} NAME)
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${folder} ${CMAKE_BINARY_DIR}/${ROPEWALK_DATA_DIR}/${name}
       SYMBOLIC)
endforeach()
