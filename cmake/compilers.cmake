# One interface target carries what every file of this project is compiled with; users inherit only C++20.

add_library(whence_options INTERFACE)
target_compile_features(whence_options INTERFACE cxx_std_20)
target_compile_options(whence_options INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
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
endif()

find_program(WHENCE_CCACHE ccache)
if(WHENCE_CCACHE AND PROJECT_IS_TOP_LEVEL AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${WHENCE_CCACHE})
endif()
