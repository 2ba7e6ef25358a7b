# `cpack -G DEB` in a build folder makes a Debian package of what `cmake --install` lays down, below /usr. Its dependencies
# are what dpkg-shlibdeps finds in the program and its modules; libvulkan1 is opened at run time and so only recommended.
# tests/deploy/package.sh unpacks it and runs what is in it; with --root it installs it into a bare Debian root.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ropewalk)
set(CPACK_PACKAGE_VENDOR "The Ropewalk authors")
set(CPACK_PACKAGE_CONTACT "The Ropewalk authors <ropewalk@ropewalk.invalid>")
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/cmake/PackageLayout.cmake)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS libvulkan1)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS mesa-vulkan-drivers)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"A command and a server for OpenAI's clients, with backends for CUDA, Vulkan
and the CPU, and with samplers, prompt formats and RoPE scaling policies as
plugins. A small model is included.")
include(CPack)

# What Debian wants in a package: the licence as `copyright`, and a changelog in its own form.
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
find_program(GZIP gzip)
if(GZIP)
  set(changelog ${CMAKE_BINARY_DIR}/debian/changelog)
  file(WRITE ${changelog} "ropewalk (${PROJECT_VERSION}) unstable; urgency=medium\n\n  * What has changed is in CHANGELOG.md.\n\n"
                          " -- ${CPACK_PACKAGE_CONTACT}  Sun, 01 Nov 2026 00:00:00 +0000\n")
  execute_process(COMMAND ${GZIP} -9nf ${changelog})
  install(FILES ${changelog}.gz DESTINATION ${CMAKE_INSTALL_DOCDIR})
endif()
