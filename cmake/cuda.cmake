# ATOLL_CUDA: on when a CUDA toolkit is found. The sanitizers judge the emulator's form of the same kernels.
find_program(ATOLL_NVCC nvcc HINTS ENV CUDA_HOME /usr/local/cuda PATH_SUFFIXES bin)
if(ATOLL_NVCC AND NOT ATOLL_SANITIZER)
  option(ATOLL_CUDA "Build the CUDA back end" ON)
else()
  option(ATOLL_CUDA "Build the CUDA back end" OFF)
endif()

if(ATOLL_CUDA)
  if(NOT ATOLL_NVCC)
    message(FATAL_ERROR "ATOLL_CUDA is ON, but no nvcc was found: set CUDA_HOME to the toolkit (13.0 or later)")
  endif()
  file(REAL_PATH ${ATOLL_NVCC} nvcc)
  cmake_path(GET nvcc PARENT_PATH bin)
  cmake_path(GET bin PARENT_PATH ATOLL_CUDA_ROOT)
  find_library(ATOLL_CUDART cudart_static REQUIRED PATHS ${ATOLL_CUDA_ROOT}/lib64 ${ATOLL_CUDA_ROOT}/lib NO_DEFAULT_PATH)
endif()

# The arithmetic is what -ffp-contract=off and the CPU's flushed denormals make it there: no fused product that the source does not name,
# correctly rounded quotients and roots.
set(ATOLL_NVCC_FLAGS -std=c++20 -O3 -gencode arch=compute_90a,code=sm_90a -fmad=false -ftz=true -prec-div=true -prec-sqrt=true
  --expt-relaxed-constexpr -Xptxas -v,-warn-spills -Xcompiler -fPIC -DATOLL_CUDA)

# Adds kernels (NAME_cuda.cu) to a target: once for the emulator by the C++ compiler, and with ATOLL_CUDA once by nvcc. What ptxas says
# of each kernel (registers, spills) stays in ptxas/NAME_cuda.log.
function(atoll_device_sources target)
  foreach(source ${ARGN})
    set_source_files_properties(${source} PROPERTIES LANGUAGE CXX)
    target_sources(${target} PRIVATE ${source})
    if(ATOLL_CUDA)
      cmake_path(GET source STEM name)
      set(object ${CMAKE_CURRENT_BINARY_DIR}/nvcc/${name}.o)
      set(log ${CMAKE_CURRENT_BINARY_DIR}/ptxas/${name}.log)
      file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/nvcc ${CMAKE_CURRENT_BINARY_DIR}/ptxas)
      add_custom_command(OUTPUT ${object} BYPRODUCTS ${log} DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source} DEPFILE ${object}.d
        COMMAND ${ATOLL_ROOT}/cmake/logged ${log} ${CMAKE_CXX_COMPILER_LAUNCHER} ${ATOLL_NVCC} ${ATOLL_NVCC_FLAGS} -ccbin ${CMAKE_CXX_COMPILER} -I ${ATOLL_ROOT}
          -include ${ATOLL_ROOT}/base/libc_names.h -MD -MF ${object}.d -MT ${object} -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
        COMMENT "nvcc ${source}" VERBATIM)
      target_sources(${target} PRIVATE ${object})
      set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
    endif()
  endforeach()
endfunction()
