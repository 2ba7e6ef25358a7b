# Finds nvcc and says for which GPUs it builds. Sets ROPEWALK_CUDA_USABLE and gives rw_cuda_target().
#
# ROPEWALK_CUDA_ARCHITECTURES is a list of compute capabilities without the dot, such as 90; 90a is 90 with the
# instructions that only this GPU has. "native" means those of the GPUs in this machine; without a GPU the backend is
# left out. scripts/test.sh builds for the oldest and the newest, scripts/quickstart.sh for the GPUs that it finds.
include(${CMAKE_CURRENT_LIST_DIR}/LeaveOut.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/CudaArchitectures.cmake)
set(ROPEWALK_CUDA_ARCHITECTURES "75;80;86;89;90" CACHE STRING
    "GPUs to build the CUDA backend for, as compute capabilities (75;80;..), or native")
set(ROPEWALK_CUDA_USABLE FALSE)

if(ROPEWALK_SANITIZE OR ROPEWALK_FUZZ)
  rw_leave_out(cuda "nvcc has no sanitizers")
  return()
endif()
find_program(ROPEWALK_NVCC nvcc HINTS ENV CUDA_PATH PATHS /usr/local/cuda/bin DOC "CUDA compiler")
if(NOT ROPEWALK_NVCC)
  rw_leave_out(cuda "no nvcc (CUDA toolkit 12 or 13)")
  return()
endif()

set(architectures ${ROPEWALK_CUDA_ARCHITECTURES})
if(architectures STREQUAL "native")
  execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
                  OUTPUT_VARIABLE seen ERROR_QUIET RESULT_VARIABLE failed)
  string(REGEX MATCHALL "[0-9]+\\.[0-9]+" seen "${seen}")
  list(TRANSFORM seen REPLACE "\\." "")
  list(REMOVE_DUPLICATES seen)
  if(NOT seen)
    rw_leave_out(cuda "nvidia-smi shows no GPU to build for")
    return()
  endif()
  set(architectures ${seen})
endif()

execute_process(COMMAND ${ROPEWALK_NVCC} --list-gpu-arch OUTPUT_VARIABLE known)
rw_cuda_architectures("${known}" "${architectures}" ROPEWALK_CUDA_BUILT_FOR architectures_of_cmake)
if(NOT ROPEWALK_CUDA_BUILT_FOR)
  rw_leave_out(cuda "nvcc builds for none of ${architectures}")
  return()
endif()

# Tried first, since a compiler that does not work would end the configuration.
set(CMAKE_CUDA_COMPILER ${ROPEWALK_NVCC})
if(NOT CMAKE_CUDA_HOST_COMPILER AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
endif()
set(CMAKE_CUDA_ARCHITECTURES ${architectures_of_cmake})
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  rw_leave_out(cuda "${ROPEWALK_NVCC} compiles nothing with this host compiler")
  return()
endif()
enable_language(CUDA)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12)
  rw_leave_out(cuda "nvcc ${CMAKE_CUDA_COMPILER_VERSION} is older than 12")
  return()
endif()
if(NOT CMAKE_CUDA_COMPILER_LAUNCHER)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()
# CMake 3.25 does not know that nvcc has C++20.
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
message(STATUS "backend cuda: ${CMAKE_CUDA_COMPILER_ID} ${CMAKE_CUDA_COMPILER_VERSION} for "
               "${ROPEWALK_CUDA_BUILT_FOR}")
set(ROPEWALK_CUDA_USABLE TRUE)

# Links cudart statically; cuBLAS and the driver are loaded at run time.
function(rw_cuda_target target)
  set_target_properties(${target} PROPERTIES
    CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON CUDA_RUNTIME_LIBRARY Static
    CUDA_VISIBILITY_PRESET hidden CUDA_ARCHITECTURES "${CMAKE_CUDA_ARCHITECTURES}")
  target_include_directories(${target} SYSTEM PRIVATE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
  list(JOIN ROPEWALK_CUDA_BUILT_FOR ", " built_for)
  target_compile_definitions(${target} PRIVATE ROPEWALK_CUDA_BUILT_FOR="${built_for}")
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra>
    $<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${ROPEWALK_WERROR}>>:-Werror=all-warnings>)
endfunction()
