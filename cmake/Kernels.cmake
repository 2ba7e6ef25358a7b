# rw_add_kernels(<variable>
#   SETS <instruction set>...   baseline, avx2, avx512, avx512_vnni
#   SOURCES <file>...
#   OPTIONS <compiler option>...)
#
# Compiles leaf loops once for each instruction set and sets <variable> to the object files. A source
# puts all that it defines into the namespace RW_ISA, has the set's name as RW_ISA_NAME, and includes
# nothing whose inline functions the linker could share with files compiled for other processors: no
# other file may be compiled with -march. core/abi/instruction_sets.h chooses among them.
set(rw_march_avx2 -march=x86-64-v3)
set(rw_march_avx512 -march=x86-64-v4 -mprefer-vector-width=512)
set(rw_march_avx512_vnni ${rw_march_avx512} -mavx512vnni)

set(rw_optimise_loops -O3)
if(ROPEWALK_SANITIZE)
  set(rw_optimise_loops -O1)  # unrolled loops would take the compiler minutes
endif()

function(rw_add_kernels variable)
  cmake_parse_arguments(KERNELS "" "" "SETS;SOURCES;OPTIONS" ${ARGN})
  set(objects)
  foreach(isa ${KERNELS_SETS})
    if(isa STREQUAL baseline OR CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
      set(target ${variable}_${isa})
      add_library(${target} OBJECT ${KERNELS_SOURCES})
      target_link_libraries(${target} PRIVATE rw_abi rw_warnings rw_hardening)
      target_compile_options(${target} PRIVATE ${rw_optimise_loops} ${rw_march_${isa}} ${KERNELS_OPTIONS})
      target_compile_definitions(${target} PRIVATE RW_ISA=${isa} RW_ISA_NAME="${isa}")
      list(APPEND objects $<TARGET_OBJECTS:${target}>)
    endif()
  endforeach()
  set(${variable} ${objects} PARENT_SCOPE)
endfunction()
