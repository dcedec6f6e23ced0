# Finds what is installed. Never downloads, unless WHENCE_FETCH_DEPENDENCIES is on.
# `./dev` unpacks into .deps/ what the distribution has only in older versions; it is looked at first.

set(WHENCE_DEPS ${CMAKE_CURRENT_SOURCE_DIR}/.deps/usr)
if(EXISTS ${WHENCE_DEPS})
    list(PREPEND CMAKE_PREFIX_PATH ${WHENCE_DEPS})
endif()

find_package(Threads REQUIRED)
include(find_liburing)  # also installed, for who links the library

# Ends the configuration. Forgets what was found, so that the next run looks again.
function(whence_dependency_missing what found package)
    unset(WHENCE_LIBURING_LIBRARY CACHE)
    unset(WHENCE_LIBURING_INCLUDE_DIR CACHE)
    unset(WHENCE_ASIO_INCLUDE_DIR CACHE)
    message(FATAL_ERROR "whence needs ${what}; found: ${found}.\n"
        "On Debian and Ubuntu `./dev build` provides it; elsewhere install ${package}.")
endfunction()

# ---- liburing ----------------------------------------------------------------------------------------
# Static by preference: what runs is then what was tested, whatever the target machine has installed.
if(WHENCE_IO_URING)
    if(WHENCE_LIBURING_PROBLEM)
        whence_dependency_missing("liburing ${WHENCE_LIBURING_VERSION_MIN} or newer" "${WHENCE_LIBURING_PROBLEM}"
            "liburing's development files, or configure with -DWHENCE_IO_URING=OFF")
    endif()
    add_library(whence_liburing INTERFACE)
    # SYSTEM: newer kernel headers define RWF_ constants that glibc's own headers define as well.
    target_include_directories(whence_liburing SYSTEM INTERFACE ${WHENCE_LIBURING_INCLUDE_DIR})
    if(EXISTS ${WHENCE_LIBURING_INCLUDE_DIR}/${CMAKE_LIBRARY_ARCHITECTURE}/asm)
        target_include_directories(whence_liburing SYSTEM INTERFACE
            ${WHENCE_LIBURING_INCLUDE_DIR}/${CMAKE_LIBRARY_ARCHITECTURE})
    endif()
    target_link_libraries(whence_liburing INTERFACE ${WHENCE_LIBURING_LIBRARY})
endif()

# ---- what can be fetched ------------------------------------------------------------------------------
# Each is pinned to the commit of the release named beside it.
if(WHENCE_FETCH_DEPENDENCIES)
    include(FetchContent)
    FetchContent_Declare(Catch2 GIT_REPOSITORY https://github.com/catchorg/Catch2
        GIT_TAG fa43b77429ba76c462b1898d6cd2f2d7a9416b14)  # 3.7.1
    FetchContent_Declare(nlohmann_json GIT_REPOSITORY https://github.com/nlohmann/json
        GIT_TAG 9cca280a4d0ccf0c08f47a99aa71d1b0e52f8d03)  # 3.11.3
    FetchContent_Declare(CLI11 GIT_REPOSITORY https://github.com/CLIUtils/CLI11
        GIT_TAG 6c7b07a878ad834957b98d0f9ce1dbe0cb204fc9)  # 2.4.2
    FetchContent_Declare(asio GIT_REPOSITORY https://github.com/chriskohlhoff/asio
        GIT_TAG 12e0ce9e0500bf0f247dbd1ae894272656456079)  # 1.30.2, no CMake project: headers only
endif()

function(whence_require package version)
    if(WHENCE_FETCH_DEPENDENCIES)
        FetchContent_MakeAvailable(${package})
        return()
    endif()
    find_package(${package} ${version} QUIET)
    if(NOT ${package}_FOUND)
        set(found none)
        if(${package}_CONSIDERED_VERSIONS)
            set(found "${${package}_CONSIDERED_VERSIONS}")
        endif()
        whence_dependency_missing("${package} ${version} or newer" "${found}"
            "${package}, or configure with -DWHENCE_FETCH_DEPENDENCIES=ON")
    endif()
endfunction()

if(WHENCE_BUILD_TESTS)
    whence_require(Catch2 3.4)
endif()
if(WHENCE_BUILD_TESTS OR WHENCE_BUILD_EXAMPLES OR WHENCE_BUILD_BENCH)
    whence_require(nlohmann_json 3.11.2)
endif()
if(WHENCE_BUILD_EXAMPLES OR WHENCE_BUILD_BENCH)
    whence_require(CLI11 2.1)
endif()

# ---- Asio, headers only -------------------------------------------------------------------------------
# For the second driver, which is compiled into the library; for asio_interop/, whose headers only those need
# who use Asio; for the comparison in bench/.
if(WHENCE_FETCH_DEPENDENCIES)
    FetchContent_MakeAvailable(asio)
    set(WHENCE_ASIO_INCLUDE_DIR ${asio_SOURCE_DIR}/asio/include)
endif()
find_path(WHENCE_ASIO_INCLUDE_DIR asio.hpp)
whence_read_define(${WHENCE_ASIO_INCLUDE_DIR}/asio/version.hpp ASIO_VERSION asio_version)
if(NOT asio_version OR asio_version LESS 102800)
    if(NOT asio_version)
        set(asio_version none)
    endif()
    whence_dependency_missing("Asio 1.28 or newer (ASIO_VERSION 102800)" "${asio_version}" "standalone Asio")
endif()
add_library(whence_asio INTERFACE)
target_include_directories(whence_asio SYSTEM INTERFACE ${WHENCE_ASIO_INCLUDE_DIR})
target_compile_definitions(whence_asio INTERFACE ASIO_STANDALONE ASIO_NO_DEPRECATED)
target_link_libraries(whence_asio INTERFACE Threads::Threads)

# ---- optional -----------------------------------------------------------------------------------------
# llhttp parses HTTP for the examples that speak it; Ubuntu 24.04 does not package it.
find_path(WHENCE_LLHTTP_INCLUDE_DIR llhttp.h)
find_library(WHENCE_LLHTTP_LIBRARY NAMES libllhttp.a llhttp)
if(WHENCE_LLHTTP_INCLUDE_DIR AND WHENCE_LLHTTP_LIBRARY)
    add_library(whence_llhttp INTERFACE)
    target_include_directories(whence_llhttp SYSTEM INTERFACE ${WHENCE_LLHTTP_INCLUDE_DIR})
    target_link_libraries(whence_llhttp INTERFACE ${WHENCE_LLHTTP_LIBRARY})
endif()
