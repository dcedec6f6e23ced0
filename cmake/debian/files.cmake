# Run by CPack over the staged tree: what Debian wants of a package beside what `cmake --install` puts there.
if(NOT CPACK_GENERATOR STREQUAL DEB)
    return()
endif()
find_program(strip NAMES strip REQUIRED)
find_program(gzip NAMES gzip REQUIRED)

file(GLOB_RECURSE libraries ${CPACK_TEMPORARY_DIRECTORY}/*.a)
execute_process(COMMAND ${strip} --strip-debug --enable-deterministic-archives ${libraries}
    COMMAND_ERROR_IS_FATAL ANY)

set(doc ${CPACK_TEMPORARY_DIRECTORY}/usr/share/doc/${CPACK_PACKAGE_NAME})
file(READ ${doc}/LICENSE license)
set(text "Copyright: the authors of whence\n\n${license}")
if(EXISTS ${doc}/LICENSE.liburing)
    file(READ ${doc}/LICENSE.liburing license)
    string(APPEND text "\n\nlibwhence_uring.a is the static library of liburing, under these terms:\n\n${license}")
endif()
file(WRITE ${doc}/copyright "${text}")
file(REMOVE ${doc}/LICENSE ${doc}/LICENSE.liburing)

string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)  # SOURCE_DATE_EPOCH, if it is set
file(WRITE ${doc}/changelog "${CPACK_PACKAGE_NAME} (${CPACK_PACKAGE_VERSION}) unstable; urgency=medium

  * Packaged from the project's own sources, whose history has the changes.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
execute_process(COMMAND ${gzip} -9nf ${doc}/changelog COMMAND_ERROR_IS_FATAL ANY)
