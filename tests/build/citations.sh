#!/usr/bin/env bash
# citations.sh SOURCE_DIR: every file that a comment or a document names exists.
#
# A name is the end of a path: `tiling.cpp` and `ops/tiling.cpp` both name backends/vulkan/ops/tiling.cpp.
# Three things are checked, in comments and in Markdown:
#
#   dir/name.ext                     a file has a path that ends so
#   name.ext: Name, `name.ext`, `x`  such a file contains the word Name or x
#   // name.ext — ...                in a first line: it is the file's own name
set -u
cd "$1" || exit 2

# Names that are no files of this tree. Files of other projects, which comments give as a source:
foreign='common.h configuration_mistral.py configuration_qwen2.py encoder.py file_download.py gptq.py LlamaPartNTKScaledRotaryEmbedding.py llama.cpp
llama-sampler.cpp modeling_gemma.py modeling_gemma2.py modeling_gemma3.py modeling_granite.py modeling_llama.py modeling_olmo2.py modeling_phi3.py modeling_qwen3.py modeling_rope_utils.py convert_hf_to_gguf.py docs/build.md example_chatbot.py modeling_smollm3.py pickletools.py presets.py q4_matrix.cu qdq_4.cuh
qlinear_cuda.py quantization/config.py setup.py sampler.py sampler_hijack.py serialization.py sysexits.h
test-backend-ops.cpp tokenization_llama.py tokenization_llama_fast.py tokenization_utils.py
tokenization_utils_base.py tokenization_utils_fast.py torch/_utils.py generation/utils.py
lora/config.py save_and_load.py utils/other.py'
# Files that a run or a user makes, and parts of names:
made='verify.sh my-sampler.cpp .spv.h shader.comp _test.cpp'

# docs/plugins.md names the plugins' sources, all files of other projects; CHANGELOG.md names files that are gone.
find . \( -path ./.git -o -path ./build \) -prune -o -type f -print | sed 's,^\./,,' | sort |
  awk -v exceptions="$foreign $made" '
  function report(message) { print "FAIL " file ":" line ": " message; failures++ }
  # Files every end of a path: its name, the folder and the name, and so on.
  function remember(path,  end) {
    for (end = path; ; end = substr(end, index(end, "/") + 1)) {
      ends[end] = ends[end] " " path
      if (!index(end, "/")) break
    }
  }
  function is_exception(name,  end) {
    for (end = name; ; end = substr(end, index(end, "/") + 1)) {
      if (end in excepted) return 1
      if (!index(end, "/")) return 0
    }
  }
  function text_of(path,  text, all) {
    if (!(path in contents)) {
      while ((getline text < path) > 0) all = all text "\n"
      close(path)
      contents[path] = all
    }
    return contents[path]
  }
  # Whether one of the files that `name` may mean has `word`, but not only as part of a longer word.
  function has_word(name, word,  i, n, paths) {
    n = split(ends[name], paths, " ")
    for (i = 1; i <= n; i++)
      if (match(text_of(paths[i]), "(^|[^A-Za-z0-9_])" word "([^A-Za-z0-9_]|$)")) return 1
    return 0
  }
  # The comment in a line, or nothing. Two slashes behind a colon are part of an address.
  function comment_of(text, kind) {
    if (kind == "md") return text
    if (kind == "slashes") return match(text, /(^|[^:])\/\/.*/) ? substr(text, RSTART) : ""
    return match(text, /(^|[ \t])#.*/) ? substr(text, RSTART) : ""
  }
  function kind_of(path) {
    if (path ~ /\.md$/) return "md"
    if (path ~ /\.(h|cpp|cu|cuh|comp|glsl)$/) return "slashes"
    if (path ~ /\.(sh|py|cmake|yaml)$/ || path ~ /CMakeLists\.txt$/) return "hash"
    return ""
  }
  function check_comment(text,  name, rest, word) {
    while (match(text, /[A-Za-z0-9_.\/*-]*[A-Za-z0-9_*]\.(h|cpp|cu|cuh|comp|glsl|md|sh|py|cmake)/)) {
      name = substr(text, RSTART, RLENGTH)
      text = substr(text, RSTART + RLENGTH)
      if (text ~ /^[A-Za-z0-9_.]*[A-Za-z0-9_]/ || name ~ /\*/) continue  # a longer name, or a pattern
      sub(/^(\.\.?\/)+/, "", name)
      if (is_exception(name)) continue
      if (!(name in ends)) { report("no file is called " name); continue }
      rest = text
      if (sub(/^: /, "", rest) && match(rest, /^[A-Z][A-Za-z0-9_]*[a-z][A-Za-z0-9_]*/) ||
          sub(/^`, `/, "", rest) && match(rest, /^[A-Za-z_][A-Za-z0-9_]*`/)) {
        word = substr(rest, RSTART, RLENGTH)
        sub(/`$/, "", word)
        if (!has_word(name, word)) report("there is no " word " in " name)
      }
    }
  }
  { remember($0); paths[NR] = $0 }
  END {
    split(exceptions, list, /[ \n]+/)
    for (i in list) excepted[list[i]] = 1
    for (p = 1; p <= NR; p++) {
      file = paths[p]
      if (file == "docs/plugins.md" || file == "CHANGELOG.md" || !(kind = kind_of(file))) continue
      checked++
      count = split(text_of(file), lines, "\n")
      for (line = 1; line < count; line++) {
        comment = comment_of(lines[line], kind)
        if (line == 1 && match(comment, /^\/\/ [a-z0-9_.-]+\.[a-z]+ —/)) {
          name = substr(comment, 4, RLENGTH - 4 - length("—"))
          if (file !~ ("(^|/)" name "$")) report("the first line calls it " name)
        }
        if (comment) check_comment(comment)
      }
    }
    if (checked < 300) { print "FAIL found only " checked " files"; failures++ }
    if (!failures) print "ok: the files that " checked " files name exist"
    exit failures > 0
  }'
