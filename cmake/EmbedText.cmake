# Called by rw_embed_texts(): writes a file's bytes into a header.
file(READ ${TEXT} bytes HEX)
string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${bytes}")
file(WRITE ${HEADER}
  "#pragma once\nnamespace ropewalk::texts {\ninline constexpr char k_${NAME}[] = {${bytes}};\n}\n")
