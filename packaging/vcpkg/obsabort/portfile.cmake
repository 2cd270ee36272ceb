# An overlay port for the tree that it stands in: vcpkg install obsabort --overlay-ports=packaging/vcpkg
# Cargo, which vcpkg does not bring, builds the library: once, for release.
set(VCPKG_POLICY_MISMATCHED_NUMBER_OF_BINARIES enabled)

get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
find_program(MAKE make REQUIRED)
find_program(CARGO cargo REQUIRED)
if(DEFINED ENV{CARGO_TARGET_DIR})
  set(CARGO_TARGET_DIR "$ENV{CARGO_TARGET_DIR}")
else()
  set(CARGO_TARGET_DIR "${CURRENT_BUILDTREES_DIR}/cargo")
endif()

vcpkg_execute_required_process(
  COMMAND "${MAKE}" install "CARGO=${CARGO}" "CARGO_TARGET_DIR=${CARGO_TARGET_DIR}"
    "PREFIX=${CURRENT_PACKAGES_DIR}" "CMAKEDIR=${CURRENT_PACKAGES_DIR}/share/${PORT}"
  WORKING_DIRECTORY "${SOURCE_PATH}"
  LOGNAME "install-${TARGET_TRIPLET}")

# A library, without the program, its manual, its completions and its units; and one of the two libraries.
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/bin" "${CURRENT_PACKAGES_DIR}/lib/systemd"
  "${CURRENT_PACKAGES_DIR}/share/man" "${CURRENT_PACKAGES_DIR}/share/bash-completion"
  "${CURRENT_PACKAGES_DIR}/share/zsh" "${CURRENT_PACKAGES_DIR}/share/fish")
if(VCPKG_LIBRARY_LINKAGE STREQUAL "static")
  file(GLOB unwanted "${CURRENT_PACKAGES_DIR}/lib/libobsabort.so*")
  list(APPEND unwanted "${CURRENT_PACKAGES_DIR}/lib/pkgconfig/obsabort.pc")
else()
  set(unwanted "${CURRENT_PACKAGES_DIR}/lib/libobsabort.a" "${CURRENT_PACKAGES_DIR}/lib/pkgconfig/obsabort-static.pc")
endif()
file(REMOVE ${unwanted})

vcpkg_fixup_pkgconfig()
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE-APACHE" "${SOURCE_PATH}/LICENSE-MIT")
