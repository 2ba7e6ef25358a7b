# Called by rw_embed_shaders(): wraps the numbers that glslc printed into a header.
file(READ ${WORDS} words)
file(WRITE ${HEADER}
  "#pragma once\n#include <cstdint>\nnamespace ropewalk::vulkan::spirv {\n"
  "inline constexpr uint32_t k_${STEM}[] = {${words}};\n}\n")
