# What `cmake --install` and CPack put where: the public headers, the static library, and what find_package
# and pkg-config read. The installed tree may be moved. tests/consumer builds and runs a program from it.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# ---- liburing -----------------------------------------------------------------------------------------
# A static library needs its own libraries when it is linked. The system's liburing is there for that; one
# unpacked into .deps/ stays behind with the checkout, so it goes along, under a name of its own.
cmake_path(IS_PREFIX WHENCE_DEPS "${WHENCE_LIBURING_LIBRARY}" NORMALIZE whence_liburing_unpacked)
set(WHENCE_BUNDLE_LIBURING ${whence_liburing_unpacked} CACHE BOOL
    "Install the static liburing as libwhence_uring.a, for machines without liburing 2.5")
if(NOT WHENCE_IO_URING)
    set(WHENCE_BUNDLE_LIBURING OFF)
    set(whence_pc_requires "")
    set(whence_pc_liburing "")
elseif(WHENCE_BUNDLE_LIBURING)
    if(NOT WHENCE_LIBURING_LIBRARY MATCHES "\\.a$")
        message(FATAL_ERROR "WHENCE_BUNDLE_LIBURING needs a static liburing; found: ${WHENCE_LIBURING_LIBRARY}")
    endif()
    find_file(WHENCE_LIBURING_LICENSE NAMES copyright LICENSE NO_DEFAULT_PATH
        PATHS ${WHENCE_LIBURING_INCLUDE_DIR}/../share/doc/liburing-dev)
    if(NOT WHENCE_LIBURING_LICENSE)
        message(FATAL_ERROR "WHENCE_BUNDLE_LIBURING passes liburing on, and its licence with it: "
            "set WHENCE_LIBURING_LICENSE to the file that has it")
    endif()
    install(FILES ${WHENCE_LIBURING_LIBRARY} DESTINATION ${CMAKE_INSTALL_LIBDIR} RENAME libwhence_uring.a)
    install(FILES ${WHENCE_LIBURING_LICENSE} DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME LICENSE.liburing)
    set(whence_pc_requires "")
    set(whence_pc_liburing " -lwhence_uring")
else()
    set(whence_pc_requires " liburing >= ${WHENCE_LIBURING_VERSION_MIN}")
    set(whence_pc_liburing "")
endif()

# ---- headers and library ------------------------------------------------------------------------------
# A header that other headers may not include says so in these words; tests/tidy sees to it.
set(framework ${PROJECT_SOURCE_DIR}/framework)
file(GLOB_RECURSE headers RELATIVE ${framework} CONFIGURE_DEPENDS ${framework}/whence/*.hpp)
foreach(header IN LISTS headers)
    file(STRINGS ${framework}/${header} private REGEX "Not a public header" LIMIT_COUNT 1)
    if(NOT private)
        cmake_path(GET header PARENT_PATH folder)
        install(FILES ${framework}/${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/${folder})
    endif()
endforeach()
install(TARGETS whence EXPORT whence ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# ---- find_package(whence) -----------------------------------------------------------------------------
set(whence_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/whence)
install(EXPORT whence NAMESPACE whence:: FILE whence-targets.cmake DESTINATION ${whence_cmake_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/whence-config.cmake.in
    ${PROJECT_BINARY_DIR}/package/whence-config.cmake
    INSTALL_DESTINATION ${whence_cmake_dir} PATH_VARS CMAKE_INSTALL_LIBDIR
    NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
# Before 1.0 a minor version may break what the one before it promised.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/whence-config-version.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/package/whence-config.cmake
    ${PROJECT_BINARY_DIR}/package/whence-config-version.cmake ${CMAKE_CURRENT_LIST_DIR}/find_liburing.cmake
    DESTINATION ${whence_cmake_dir})

# ---- pkg-config ---------------------------------------------------------------------------------------
set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH whence_pc_prefix ${CMAKE_INSTALL_PREFIX}/${pc_dir} ${CMAKE_INSTALL_PREFIX})
# As system headers, so that a user's compiler warns about the user's code only. /usr/include is searched
# anyway, and compilers do not find their own headers behind `-isystem /usr/include`.
set(whence_pc_include -isystem)
configure_file(${CMAKE_CURRENT_LIST_DIR}/whence.pc.in ${PROJECT_BINARY_DIR}/package/whence.pc @ONLY)
set(whence_pc_include -I)
configure_file(${CMAKE_CURRENT_LIST_DIR}/whence.pc.in ${PROJECT_BINARY_DIR}/package/usr/whence.pc @ONLY)
install(CODE "
    set(folder \"${PROJECT_BINARY_DIR}/package\")
    if(CMAKE_INSTALL_PREFIX MATCHES \"(^|/)usr/*$\")
        string(APPEND folder /usr)
    endif()
    file(INSTALL \"\${folder}/whence.pc\" DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${pc_dir}\")")

if(PROJECT_IS_TOP_LEVEL)
    include(debian/package)
endif()
