# cmake -P architectures.cmake: names of GPUs that the build takes, and what it makes of them.
include(${CMAKE_CURRENT_LIST_DIR}/../../cmake/CudaArchitectures.cmake)
set(known "compute_75\ncompute_80\ncompute_90\ncompute_100\ncompute_120\n")

function(expect wanted built_for cmake)
  rw_cuda_architectures("${known}" "${wanted}" found names)
  if(NOT "${found}|${names}" STREQUAL "${built_for}|${cmake}")
    message(SEND_ERROR "of ${wanted}: ${found} as ${names}, expected ${built_for} as ${cmake}")
  endif()
endfunction()

expect("75;90" "75;90" "75-real;90-real;90-virtual")
expect("90;75" "90;75" "90-real;75-real;90-virtual")
expect("90a" "90a" "90a-real;90-virtual")
expect("90;90a" "90;90a" "90-real;90a-real;90-virtual")
expect("100f;90a" "100f;90a" "100f-real;90a-real;100-virtual")
expect("70;75;130;80a;90f;90b;9;hopper" "75" "75-real;75-virtual")  # 12 is no architecture because 120 is
expect("12;10" "" "")
