// new_plugin.cpp — `ropewalk new KIND NAME`: a folder with a plugin, its build, its test and a
// configuration that uses it, made from the installed templates.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "apps/commands.h"
#include "apps/open.h"
#include "apps/output.h"
#include "apps/save_file.h"
#include "core/base/error.h"
#include "core/json/json.h"
#include "core/modules/program_path.h"

namespace ropewalk {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxName = 40;

struct Kind {
  std::string_view name;  // on the command line, and of the folder of templates
  abi::ModuleKind kind;
};
constexpr std::array kKinds = {Kind{"sampler", abi::ModuleKind::sampler},
                               Kind{"prompt-format", abi::ModuleKind::prompt_format},
                               Kind{"rope-scaling", abi::ModuleKind::rope_scaling}};

// The install tree, or the build tree, which has the same layout.
fs::path prefix() { return program_path().parent_path().parent_path(); }

fs::path data_folder() { return (prefix() / ROPEWALK_DATADIR / "ropewalk").lexically_normal(); }

// `text` quoted so that a shell reads it back.
std::string shell_word(const std::string& text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_./+-=:@%,").find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::ranges::all_of(text, plain)) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

const Kind& find_kind(const std::string& name) {
  const auto found = std::ranges::find(kKinds, name, &Kind::name);
  if (found == kKinds.end())
    throw Error(ExitCode::usage, "command line",
                fmt::format("found the kind {}, expected sampler, prompt-format or rope-scaling",
                            printable(name)),
                "");
  return *found;
}

void check_name(const NewArguments& arguments, const Kind& kind) {
  const std::string& name = arguments.name;
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto allowed = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '-'; };
  if (name.empty() || name.size() > kMaxName || !letter(name.front()) || name.back() == '-' ||
      !std::ranges::all_of(name, allowed))
    throw Error(ExitCode::usage, "command line",
                fmt::format("found the name {}, expected a lower-case letter, then at most {} of "
                            "a-z, 0-9 and -",
                            printable(name), kMaxName - 1),
                "For example my-sampler");
  Registry registry = make_registry(config_without_file(arguments.common, "."));
  if (registry.find_if_present(kind.kind, name))
    throw Error(ExitCode::usage, "command line",
                fmt::format("there is a {} called {} already", kind.name, name),
                "Take another name");
}

// my-sampler -> MySampler
std::string class_name(const std::string& name) {
  std::string out;
  bool upper = true;
  for (const char c : name) {
    if (c != '-') out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    upper = c == '-';
  }
  return out;
}

// The model for use.yaml: the given one, else the bundled model where it is installed.
std::string model_path(const NewArguments& arguments) {
  std::error_code error;
  if (!arguments.model.empty()) return fs::absolute(arguments.model).lexically_normal().string();
  const fs::path bundled = data_folder() / "models/airophin-mini";
  return fs::exists(bundled, error) ? bundled.string() : "path/to/a/model";
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
  return text;
}

std::string read_template(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The templates of a kind, each `NAME.in`.
std::vector<fs::path> templates_of(const Kind& kind) {
  std::vector<fs::path> files;
  const fs::path folder = data_folder() / "templates" / kind.name;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    if (entry->path().extension() == ".in") files.push_back(entry->path());
  if (files.empty())
    throw Error(ExitCode::plugin, folder.string(), "has no templates, expected those of Ropewalk",
                "Install Ropewalk with cmake --install");
  std::ranges::sort(files);
  return files;
}

}  // namespace

int new_plugin(const NewArguments& arguments) {
  const Kind& kind = find_kind(arguments.kind);
  check_name(arguments, kind);
  const std::vector<fs::path> templates = templates_of(kind);
  const fs::path folder = fs::path(arguments.into) / arguments.name;
  std::error_code error;
  if (fs::exists(folder, error) || !fs::create_directories(folder, error))
    throw Error(ExitCode::output, folder.string(),
                error ? "could not be made: " + error.message() : "is there already", "");
  // A path in YAML is a quoted scalar, which a JSON text is too.
  const std::string model = Json(model_path(arguments)).dump();
  for (const fs::path& file : templates) {
    std::string text = replaced(read_template(file), "@NAME@", arguments.name);
    text = replaced(std::move(text), "@CLASS@", class_name(arguments.name));
    text = replaced(std::move(text), "@MODEL@", model);
    const std::string name = file.stem().string();
    save_file(folder / (name == "plugin.cpp" ? arguments.name + ".cpp" : name), text);
  }
  print(
      fmt::format("{0} is a {1}. Build it, test it and use it:\n"
                  "  cmake -S {2} -B {2}/build -DCMAKE_PREFIX_PATH={3}\n"
                  "  cmake --build {2}/build && ctest --test-dir {2}/build\n"
                  "  {4} run {2}/use.yaml --prompt \"What is a ropewalk?\"\n",
                  folder.string(), kind.name, shell_word(folder.string()),
                  shell_word(prefix().string()), shell_word(program_invocation_name)));
  return 0;
}

}  // namespace ropewalk
