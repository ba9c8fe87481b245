# One set of flags for every target. -ffp-contract=off is part of the numerics contract: the compiler must never fuse a
# product and a sum that the source keeps apart, or two builds of one kernel would differ in their bits.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g")

add_compile_options(-Wall -Wextra -Werror -ffp-contract=off)
cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH ATOLL_ROOT)
include_directories(${ATOLL_ROOT})
add_compile_options("SHELL:-include ${ATOLL_ROOT}/base/libc_names.h")
if(ATOLL_SANITIZER)
  # Instrumented code makes g++ warn of what is not there (maybe-uninitialized in a std::variant): Release builds judge warnings.
  add_compile_options(-fsanitize=${ATOLL_SANITIZER} -fno-omit-frame-pointer -fno-sanitize-recover=all -g1 -Wno-error -Wno-maybe-uninitialized)
  # With g++ these four make a file take three times as long and find little that the address sanitizer does not; the fuzz targets,
  # which clang builds, keep them.
  if(ATOLL_SANITIZER MATCHES undefined AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fno-sanitize=null,alignment,vptr,object-size)
  endif()
  add_link_options(-fsanitize=${ATOLL_SANITIZER})
endif()

# A compiler cache when there is one; base_dir makes a second clone of the same sources hit it.
find_program(ATOLL_CCACHE ccache)
if(ATOLL_CCACHE)
  cmake_path(GET CMAKE_SOURCE_DIR PARENT_PATH ATOLL_CCACHE_BASE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${ATOLL_CCACHE_BASE} CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=pch_defines,time_macros ${ATOLL_CCACHE})
endif()
find_program(ATOLL_MOLD mold)
if(ATOLL_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT ATOLL_SANITIZER)
  add_link_options(-fuse-ld=mold)
endif()
