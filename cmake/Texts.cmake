# rw_embed_texts(TARGET file...)
#
# Gives the target a generated header for each file, texts/<NAME>.h: its bytes, without a zero at the end, as
# `texts::k_NAME`, where NAME in the constant has _ for what is no letter or digit.
function(rw_embed_texts target)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/generated/texts)
  file(MAKE_DIRECTORY ${folder})
  foreach(text ${ARGN})
    get_filename_component(file ${text} NAME)
    string(MAKE_C_IDENTIFIER ${file} name)
    add_custom_command(
      OUTPUT ${folder}/${file}.h
      COMMAND ${CMAKE_COMMAND} -DTEXT=${CMAKE_CURRENT_SOURCE_DIR}/${text}
              -DHEADER=${folder}/${file}.h -DNAME=${name}
              -P ${CMAKE_SOURCE_DIR}/cmake/EmbedText.cmake
      DEPENDS ${text} ${CMAKE_SOURCE_DIR}/cmake/EmbedText.cmake
      VERBATIM)
    target_sources(${target} PRIVATE ${folder}/${file}.h)
  endforeach()
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/generated)
endfunction()
