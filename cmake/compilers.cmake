# One interface target carries what every file of this project is compiled with; users inherit only C++20.

if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 16)
    message(FATAL_ERROR "whence needs Clang 16 or newer (19 recommended); "
        "${CMAKE_CXX_COMPILER} is ${CMAKE_CXX_COMPILER_VERSION}. Debian 12: CXX=clang++-19")
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12)
    message(FATAL_ERROR "whence needs GCC 12 or newer (13.3 recommended); "
        "${CMAKE_CXX_COMPILER} is ${CMAKE_CXX_COMPILER_VERSION}")
endif()

add_library(whence_options INTERFACE)
target_compile_features(whence_options INTERFACE cxx_std_20)
target_compile_options(whence_options INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
    -Wnon-virtual-dtor)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # Designated initialisers leave the other options at their defaults on purpose.
    target_compile_options(whence_options INTERFACE -Wno-missing-designated-field-initializers)
else()
    target_compile_options(whence_options INTERFACE -Wno-missing-field-initializers)
endif()
if(WHENCE_WARNINGS_AS_ERRORS)
    target_compile_options(whence_options INTERFACE -Werror)
endif()

if(WHENCE_SANITIZE)
    add_compile_options(-fsanitize=${WHENCE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${WHENCE_SANITIZE})
    if(WHENCE_SANITIZE MATCHES undefined)
        # This check opens a pipe, and takes a process without free descriptors for one without objects.
        add_compile_options(-fno-sanitize=vptr)
    endif()
endif()
if(WHENCE_BUILD_FUZZERS)
    if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
        message(FATAL_ERROR "Fuzz targets need Clang's libFuzzer; the compiler is ${CMAKE_CXX_COMPILER}")
    endif()
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(WHENCE_CCACHE ccache)
if(WHENCE_CCACHE AND PROJECT_IS_TOP_LEVEL AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${WHENCE_CCACHE})
endif()

# g++ 12 miscompiles ordinary coroutines. whence's own code avoids what it cannot do; its users must know.
if(NOT CMAKE_CROSSCOMPILING)
    # Without the sanitizers above, which would stop the program at the bug itself.
    get_directory_property(whence_compile_options COMPILE_OPTIONS)
    get_directory_property(whence_link_options LINK_OPTIONS)
    set_directory_properties(PROPERTIES COMPILE_OPTIONS "" LINK_OPTIONS "")
    try_run(WHENCE_COROUTINE_BUGS WHENCE_COROUTINES_COMPILE
        ${CMAKE_CURRENT_BINARY_DIR}/coroutine_bugs ${CMAKE_CURRENT_LIST_DIR}/coroutine_bugs.cpp
        CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)
    set_directory_properties(PROPERTIES
        COMPILE_OPTIONS "${whence_compile_options}" LINK_OPTIONS "${whence_link_options}")
    if(NOT WHENCE_COROUTINES_COMPILE)
        message(FATAL_ERROR "${CMAKE_CXX_COMPILER} does not compile C++20 coroutines")
    elseif(NOT WHENCE_COROUTINE_BUGS EQUAL 0)
        message(WARNING "${CMAKE_CXX_COMPILER} ${CMAKE_CXX_COMPILER_VERSION} miscompiles coroutines: "
            "one with a co_await in a condition may never finish (GCC PR106188, PR106713), a lambda with "
            "captures in the same expression as a co_await is destroyed twice (PR100611, PR101367). "
            "whence itself is written around this. For your own code use clang 19 or GCC 13.3 and newer "
            "(CXX=clang++-19), or follow the coroutine rules in CONTRIBUTING.md.")
    endif()
endif()
