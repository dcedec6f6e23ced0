# `cpack -G DEB` makes one package, libwhence-dev; `./dev package` configures for it and runs it.

# A static library fits the C library that it was compiled with, and newer ones.
set(libc_package libc6-dev)
execute_process(COMMAND getconf GNU_LIBC_VERSION OUTPUT_VARIABLE libc ERROR_QUIET)
if(libc MATCHES "^glibc ([0-9.]+)")
    set(libc_package "libc6-dev (>= ${CMAKE_MATCH_1})")
endif()
set(CPACK_DEBIAN_PACKAGE_DEPENDS "${libc_package}, libstdc++-12-dev | libstdc++-dev")
if(WHENCE_IO_URING AND NOT WHENCE_BUNDLE_LIBURING)
    string(APPEND CPACK_DEBIAN_PACKAGE_DEPENDS ", liburing-dev (>= ${WHENCE_LIBURING_VERSION_MIN})")
endif()

set(CPACK_PACKAGE_NAME libwhence-dev)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_PACKAGE_CONTACT "The whence authors <whence@packages.invalid>" CACHE STRING
    "Maintainer of the package that cpack makes")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "coroutine networking on io_uring with the PROXY protocol (development)")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "\
whence is a C++20 coroutine networking framework for Linux, on io_uring.
Its listeners read the PROXY protocol from the proxies that they trust, so
that a server knows where a connection really comes from.

This package has the headers and the static library. Programs that use it
run on io_uring (Linux 6.1 or newer), and on epoll where that is forbidden.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE
    GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)  # whatever the umask of who builds it
set(CPACK_STRIP_FILES OFF)  # files.cmake takes the debug information only
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/files.cmake)
include(CPack)
