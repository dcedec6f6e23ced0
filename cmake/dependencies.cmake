# Finds what is installed. Never downloads, unless WHENCE_FETCH_DEPENDENCIES is on.
# `./dev` unpacks into .deps/ what the distribution has only in older versions; it is looked at first.

set(WHENCE_DEPS ${CMAKE_CURRENT_SOURCE_DIR}/.deps/usr)
if(EXISTS ${WHENCE_DEPS})
    list(PREPEND CMAKE_PREFIX_PATH ${WHENCE_DEPS})
endif()

find_package(Threads REQUIRED)
find_library(LIBURING_LIBRARY NAMES liburing.a uring)
find_path(LIBURING_INCLUDE_DIR liburing.h)
add_library(whence_liburing INTERFACE)
target_include_directories(whence_liburing SYSTEM INTERFACE ${LIBURING_INCLUDE_DIR})
target_link_libraries(whence_liburing INTERFACE ${LIBURING_LIBRARY})

if(WHENCE_BUILD_TESTS)
    find_package(Catch2 3.7 REQUIRED)
    find_package(nlohmann_json 3.11.3 REQUIRED)
endif()
if(WHENCE_BUILD_EXAMPLES)
    find_package(CLI11 2.1 REQUIRED)
endif()
