# Finds liburing, for the build of whence and, installed beside whence-config.cmake, for who links it.
# Sets WHENCE_LIBURING_LIBRARY and WHENCE_LIBURING_INCLUDE_DIR; WHENCE_LIBURING_PROBLEM, if not empty, says
# what was found instead.

set(WHENCE_LIBURING_VERSION_MIN 2.5)

# Reads `#define NAME number` from a header; empty if there is no such file or line.
function(whence_read_define file name result)
    set(${result} "" PARENT_SCOPE)
    if(EXISTS ${file})
        file(STRINGS ${file} lines REGEX "^#define[ \t]+${name}[ \t]+[0-9]+")
        if(lines MATCHES "${name}[ \t]+([0-9]+)")
            set(${result} ${CMAKE_MATCH_1} PARENT_SCOPE)
        endif()
    endif()
endfunction()

find_path(WHENCE_LIBURING_INCLUDE_DIR liburing.h)
find_library(WHENCE_LIBURING_LIBRARY NAMES liburing.a uring)
set(whence_version_header ${WHENCE_LIBURING_INCLUDE_DIR}/liburing/io_uring_version.h)
whence_read_define(${whence_version_header} IO_URING_VERSION_MAJOR whence_liburing_major)
whence_read_define(${whence_version_header} IO_URING_VERSION_MINOR whence_liburing_minor)
set(WHENCE_LIBURING_PROBLEM "")
if(NOT WHENCE_LIBURING_INCLUDE_DIR OR NOT WHENCE_LIBURING_LIBRARY)
    set(WHENCE_LIBURING_PROBLEM none)
elseif(whence_liburing_major STREQUAL "")
    set(WHENCE_LIBURING_PROBLEM "one older than 2.4 in ${WHENCE_LIBURING_INCLUDE_DIR}")
elseif("${whence_liburing_major}.${whence_liburing_minor}" VERSION_LESS WHENCE_LIBURING_VERSION_MIN)
    set(WHENCE_LIBURING_PROBLEM
        "${whence_liburing_major}.${whence_liburing_minor} in ${WHENCE_LIBURING_INCLUDE_DIR}")
endif()
mark_as_advanced(WHENCE_LIBURING_INCLUDE_DIR WHENCE_LIBURING_LIBRARY)
