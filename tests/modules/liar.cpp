// liar.cpp — one sampler library, built many times, each time with another lie (RW_LIE, a string).
// The honest one doubles the logits.
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

#include "core/abi/sampler.h"

using namespace ropewalk;

#ifdef RW_UNDEFINED
void nobody_defines_this();
#endif
#ifdef RW_DEPENDENCY
int of_a_library_that_is_gone();
#endif

// Declared noexcept here and defined otherwise in escape.cpp: a library that breaks the contract.
abi::Status escape(const abi::CreateInfo& info, void** object) noexcept;

namespace {

constexpr std::string_view kLie = RW_LIE;

struct OwnType {};

// Not in the noexcept function itself, where the compiler would warn.
template <class Exception>
[[noreturn]] void throw_from_here(Exception exception) {
  throw exception;
}

[[maybe_unused]] void touch_closed_page() {
  void* page = mmap(nullptr, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  *static_cast<volatile char*>(page) = 1;
}

class Doubler final : public abi::Sampler {
 public:
  explicit Doubler(const abi::Options& options) : factor_(options.number("factor")) {
    if constexpr (kLie == "throws-std") throw std::runtime_error("the factory is on strike");
    if constexpr (kLie == "throws-int") throw 7;
    if constexpr (kLie == "throws-own") throw OwnType{};
    if constexpr (kLie == "says-no") throw abi::Failure(abi::StatusCode::internal, "no, thank you");
    if constexpr (kLie == "dislikes-options")
      throw abi::Failure(abi::StatusCode::invalid_argument, "factor and length exclude each other");
    if constexpr (kLie == "aborts-in-create") std::abort();
    if constexpr (kLie == "exits-in-create") std::exit(5);
#ifdef RW_UNDEFINED
    nobody_defines_this();
#endif
#ifdef RW_DEPENDENCY
    factor_ += of_a_library_that_is_gone();
#endif
  }

  abi::Status apply(abi::Candidates& candidates, const abi::SampleContext&) noexcept override {
    if (++calls_ == 5) {  // honest until here
      if constexpr (kLie == "fails-later")
        return abi::fail(abi::StatusCode::internal, "five tokens are enough");
      if constexpr (kLie == "writes-past") candidates.data[candidates.size] = {0, 0};
      if constexpr (kLie == "writes-before") candidates.data[-1] = {0, 0};
      if constexpr (kLie == "leaves-nothing") candidates.size = 0;
      if constexpr (kLie == "crashes-later") touch_closed_page();
      if constexpr (kLie == "aborts-later") std::abort();
      if constexpr (kLie == "throws-later")
        throw_from_here(std::runtime_error("five tokens were too many"));
      if constexpr (kLie == "throws-own-later") throw_from_here(OwnType{});
      if constexpr (kLie == "hangs-later")
        while (true) pause();
    }
    for (abi::Candidate& c : candidates.all()) c.logit *= static_cast<float>(factor_);
    return {};
  }
  abi::Status accept(int32_t) noexcept override { return {}; }
  void release() noexcept override { delete this; }

 private:
  double factor_;
  int calls_ = 0;
};

// An object whose every virtual function is at address 0.
[[maybe_unused]] abi::Status make_hollow(const abi::CreateInfo&, void** object) noexcept {
  static void* functions[8] = {};
  static void** hollow = functions;
  *object = &hollow;
  return {};
}

[[maybe_unused]] void* nap(void*) {
  sleep(60);
  return nullptr;
}

// Lies that act while the library is loaded.
struct AtLoad {
  AtLoad() {
    if constexpr (kLie == "aborts") std::abort();
    if constexpr (kLie == "segfaults") raise(SIGSEGV);
    if constexpr (kLie == "bus-error") raise(SIGBUS);
    if constexpr (kLie == "exits") std::exit(3);
    if constexpr (kLie == "exits-quietly") _exit(0);
    if constexpr (kLie == "throws-at-load") throw std::runtime_error("not today");
    if constexpr (kLie == "sleeps") sleep(60);
    if constexpr (kLie == "starts-thread") {
      pthread_t thread;
      pthread_create(&thread, nullptr, nap, nullptr);
    }
    if constexpr (kLie == "forks") {
      if (fork() == 0) sleep(60);
    }
    if constexpr (kLie == "prints") {
      for (int fd = 1; fd < 10; ++fd)
        if (write(fd, "ropewalk-probe\0module\0", 22) < 0) continue;
    }
  }
} at_load;

constexpr std::array kOptions = {
    abi::OptionInfo{"factor", abi::OptionType::number, kLie == "bad-default" ? "many" : "2",
                    "what each logit is multiplied by", 0, kLie == "bad-range" ? -1 : 100},
    abi::OptionInfo{
        kLie == "option-twice"      ? "factor"
        : kLie == "option-nameless" ? nullptr
                                    : "length",
        kLie == "option-typeless" ? static_cast<abi::OptionType>(99) : abi::OptionType::integer,
        nullptr, kLie == "option-helpless" ? nullptr : "of what is looked at, in tokens", 1, 4096},
};

[[maybe_unused]] constexpr abi::Module declare() {
  abi::Module module = abi::make_module<abi::Sampler, Doubler>({.name = RW_LIE,
                                                                .version = "1.2.3",
                                                                .help = "Doubles every logit.",
                                                                .source = "tests/modules/liar.cpp",
                                                                .options = kOptions});
  if (kLie == "wrong-magic") module.magic[3] = 'X';
  if (kLie == "wrong-major") module.abi_major = 2;
  if (kLie == "newer-minor") module.abi_minor = 7;
  if (kLie == "small-struct") module.struct_size -= 8;
  if (kLie == "large-struct") module.struct_size += 8;
  if (kLie == "unknown-kind") module.kind = static_cast<abi::ModuleKind>(9);
  if (kLie == "other-toolchain") module.toolchain[0] = 'X';
  if (kLie == "unended-toolchain")
    for (char& c : module.toolchain) c = 'T';
  if (kLie == "null-name") module.name = nullptr;
  if (kLie == "empty-name") module.name = "";
  if (kLie == "path-name") module.name = "../honest";
  if (kLie == "control-help") module.help = "\x1b[2J";
  if (kLie == "null-version") module.version = nullptr;
  if (kLie == "null-help") module.help = nullptr;
  if (kLie == "null-options") module.options = nullptr;
  if (kLie == "many-options") module.option_count = 0xffffffff;
  if (kLie == "null-create") module.create = nullptr;
  if (kLie == "makes-nothing")
    module.create = [](const abi::CreateInfo&, void**) noexcept { return abi::Status{}; };
  if (kLie == "escapes") module.create = escape;
  if (kLie == "hollow") module.create = make_hollow;
  return module;
}

}  // namespace

#if defined(RW_LATE)
// Filled when it is loaded, so that the file holds only zeros.
const abi::Module ropewalk_module = std::getenv("HOME") ? declare() : abi::Module{};
#elif !defined(RW_NO_DECLARATION)
constexpr abi::Module ropewalk_module = declare();
#endif
