# Runs packaging/vcpkg/obsabort/portfile.cmake without vcpkg: cmake -DLINKAGE=dynamic -DPACKAGE=FOLDER -P vcpkg.cmake
# The functions of vcpkg that it calls do here what vcpkg's documentation says.
cmake_minimum_required(VERSION 3.19)
set(port "${CMAKE_CURRENT_LIST_DIR}/../../packaging/vcpkg/obsabort")
set(PORT obsabort)
set(TARGET_TRIPLET x64-linux)
set(VCPKG_LIBRARY_LINKAGE "${LINKAGE}")
set(CURRENT_PACKAGES_DIR "${PACKAGE}")
set(CURRENT_BUILDTREES_DIR "${PACKAGE}-buildtrees")

function(vcpkg_execute_required_process)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "WORKING_DIRECTORY;LOGNAME" "COMMAND")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_LOGNAME)
    message(FATAL_ERROR "vcpkg_execute_required_process(${ARGV})")
  endif()
  execute_process(COMMAND ${arg_COMMAND} WORKING_DIRECTORY "${arg_WORKING_DIRECTORY}" COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(vcpkg_fixup_pkgconfig)
  file(GLOB packages "${CURRENT_PACKAGES_DIR}/lib/pkgconfig/*.pc")
  if(ARGN OR NOT packages)
    message(FATAL_ERROR "vcpkg_fixup_pkgconfig(${ARGN}) finds ${packages}")
  endif()
endfunction()

function(vcpkg_install_copyright)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "COMMENT" "FILE_LIST")
  foreach(path ${arg_FILE_LIST})
    file(READ "${path}" text)
    file(APPEND "${CURRENT_PACKAGES_DIR}/share/${PORT}/copyright" "${text}")
  endforeach()
endfunction()

include("${port}/portfile.cmake")
