#include "core/modules/elf.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>
#include <string>

#include "core/base/checked.h"
#include "core/base/descriptor.h"
#include "core/base/error.h"

namespace ropewalk {
namespace {

constexpr uint32_t kMaxSegments = 256;
constexpr uint64_t kMaxDynamicEntries = 4096;
constexpr uint32_t kMaxHashSteps = 1 << 20;

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64;
constexpr std::string_view kMachineName = "x86-64";
#elif defined(__aarch64__)
constexpr uint16_t kMachine = EM_AARCH64;
constexpr std::string_view kMachineName = "aarch64";
#else
#error "modules are loaded on x86-64 and aarch64"
#endif

// A file whose every read is checked against its size.
class LibraryFile {
 public:
  explicit LibraryFile(const std::filesystem::path& file)
      : name_(file.string()), fd_(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (!fd_.valid()) refuse(fmt::format("cannot be opened: {}", std::strerror(errno)));
    struct stat status {};
    if (fstat(fd_.get(), &status) != 0 || !S_ISREG(status.st_mode))
      refuse("is not a regular file, expected a shared library");
    size_ = static_cast<uint64_t>(status.st_size);
  }
  uint64_t size() const { return size_; }

  bool holds(uint64_t offset, uint64_t bytes) const {
    const std::optional<uint64_t> end = checked_add(offset, bytes);
    return end && *end <= size_;
  }

  template <class T>
  void read(uint64_t offset, std::span<T> out) const {
    if (!holds(offset, out.size_bytes())) damaged("a table reaches beyond the end of the file");
    if (pread(fd_.get(), out.data(), out.size_bytes(), static_cast<off_t>(offset)) !=
        static_cast<ssize_t>(out.size_bytes()))
      refuse("cannot be read");
  }
  template <class T>
  T read_one(uint64_t offset) const {
    T value{};
    read(offset, std::span(&value, 1));
    return value;
  }

  [[noreturn]] void refuse(std::string_view what) const {
    throw Error(ExitCode::plugin, name_, what, "");
  }
  [[noreturn]] void damaged(std::string_view what) const {
    throw Error(ExitCode::plugin, name_, fmt::format("is damaged or incomplete: {}", what),
                "Build or install it again");
  }

 private:
  std::string name_;
  Descriptor fd_;
  uint64_t size_ = 0;
};

void check_header(const LibraryFile& file, const Elf64_Ehdr& header) {
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
    file.refuse("is not a shared library, expected an ELF file");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB)
    file.refuse("is a library for another machine, expected 64-bit little-endian");
  if (header.e_machine != kMachine)
    file.refuse(fmt::format("is a library for another machine (ELF machine {}), expected {}",
                            header.e_machine, kMachineName));
  if (header.e_type != ET_DYN) file.refuse("is not a shared library (ELF type is not DYN)");
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 ||
      header.e_phnum > kMaxSegments)
    file.damaged(
        fmt::format("found {} program headers of {} bytes", header.e_phnum, header.e_phentsize));
}

std::vector<Elf64_Phdr> read_segments(const LibraryFile& file) {
  if (file.size() == 0) file.refuse("is empty, expected a shared library");
  if (file.size() < sizeof(Elf64_Ehdr))
    file.refuse(fmt::format("is not a shared library, it has {} bytes", file.size()));
  const auto header = file.read_one<Elf64_Ehdr>(0);
  check_header(file, header);
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  file.read(header.e_phoff, std::span(segments));
  for (const Elf64_Phdr& segment : segments) {
    // Otherwise the loader maps a page that the file does not have, and touching it is a SIGBUS.
    if (segment.p_type == PT_LOAD && segment.p_filesz > segment.p_memsz)
      file.damaged("a segment has more bytes in the file than in memory");
    if (segment.p_filesz > 0 && !file.holds(segment.p_offset, segment.p_filesz))
      file.damaged(fmt::format("a segment ends at byte {} + {}, the file at {}", segment.p_offset,
                               segment.p_filesz, file.size()));
  }
  return segments;
}

// The loader's tables for symbol lookup; addresses as in memory, 0: absent.
struct Dynamic {
  uint64_t symbols = 0, strings = 0, string_bytes = 0, hash = 0, gnu_hash = 0;
};

class SymbolTable {
 public:
  explicit SymbolTable(const LibraryFile& file) : file_(file), segments_(read_segments(file)) {
    const auto dynamic = std::ranges::find(segments_, uint32_t{PT_DYNAMIC}, &Elf64_Phdr::p_type);
    if (dynamic == segments_.end()) file_.refuse("is not a shared library: no dynamic section");
    const uint64_t count =
        std::min<uint64_t>(dynamic->p_filesz / sizeof(Elf64_Dyn), kMaxDynamicEntries);
    std::vector<Elf64_Dyn> entries(count);
    file_.read(dynamic->p_offset, std::span(entries));
    for (const Elf64_Dyn& entry : entries) {
      if (entry.d_tag == DT_NULL) break;
      if (entry.d_tag == DT_SYMTAB) tables_.symbols = entry.d_un.d_ptr;
      if (entry.d_tag == DT_STRTAB) tables_.strings = entry.d_un.d_ptr;
      if (entry.d_tag == DT_STRSZ) tables_.string_bytes = entry.d_un.d_val;
      if (entry.d_tag == DT_HASH) tables_.hash = entry.d_un.d_ptr;
      if (entry.d_tag == DT_GNU_HASH) tables_.gnu_hash = entry.d_un.d_ptr;
    }
  }

  std::optional<Elf64_Sym> find(std::string_view name) const {
    if (tables_.symbols == 0 || tables_.strings == 0) file_.damaged("it has no symbol table");
    if (tables_.gnu_hash != 0) return find_gnu(name);
    if (tables_.hash != 0) return find_sysv(name);
    file_.damaged("it has no hash table of its symbols");
  }

  // File offset of `bytes` bytes at `address`; nullopt where the file does not hold them.
  std::optional<uint64_t> find_offset(uint64_t address, uint64_t bytes) const {
    for (const Elf64_Phdr& segment : segments_) {
      if (segment.p_type != PT_LOAD || address < segment.p_vaddr) continue;
      const uint64_t inside = address - segment.p_vaddr;
      if (inside <= segment.p_filesz && bytes <= segment.p_filesz - inside)
        return segment.p_offset + inside;
    }
    return std::nullopt;
  }

 private:
  uint64_t file_offset(uint64_t address, uint64_t bytes) const {
    const std::optional<uint64_t> offset = find_offset(address, bytes);
    if (!offset) file_.damaged("a table lies in no segment of the file");
    return *offset;
  }

  bool has_name(const Elf64_Sym& symbol, std::string_view name) const {
    if (symbol.st_name >= tables_.string_bytes ||
        tables_.string_bytes - symbol.st_name < name.size() + 1)
      return false;
    std::string text(name.size() + 1, '?');
    file_.read(file_offset(tables_.strings + symbol.st_name, text.size()), std::span(text));
    return text.back() == '\0' && std::string_view(text).substr(0, name.size()) == name;
  }

  template <class T>
  T entry(uint64_t table, uint64_t index) const {
    const std::optional<uint64_t> address = checked_add(table, index * sizeof(T));
    if (!address) file_.damaged("a table lies beyond the end of memory");
    return file_.read_one<T>(file_offset(*address, sizeof(T)));
  }

  // gnu_hash:  nbuckets | first symbol | bloom words | bloom shift | bloom (u64) | buckets | chain
  // The chain of a bucket ends at the value whose lowest bit is set.
  std::optional<Elf64_Sym> find_gnu(std::string_view name) const {
    uint32_t hash = 5381;
    for (const char c : name) hash = hash * 33 + static_cast<unsigned char>(c);
    const auto buckets = entry<uint32_t>(tables_.gnu_hash, 0);
    const auto first = entry<uint32_t>(tables_.gnu_hash, 1);
    const auto bloom = entry<uint32_t>(tables_.gnu_hash, 2);
    if (buckets == 0) return std::nullopt;
    const uint64_t bucket_table = tables_.gnu_hash + 16 + uint64_t{8} * bloom;
    const uint64_t chain_table = bucket_table + uint64_t{4} * buckets;
    uint64_t index = entry<uint32_t>(bucket_table, hash % buckets);
    for (uint32_t step = 0; index >= first && index != 0 && step < kMaxHashSteps; ++step, ++index) {
      const auto chain = entry<uint32_t>(chain_table, index - first);
      if ((chain | 1) == (hash | 1)) {
        const auto symbol = entry<Elf64_Sym>(tables_.symbols, index);
        if (has_name(symbol, name)) return symbol;
      }
      if (chain & 1) break;
    }
    return std::nullopt;
  }

  // hash:  nbucket | nchain | buckets | chain
  std::optional<Elf64_Sym> find_sysv(std::string_view name) const {
    uint32_t hash = 0;
    for (const char c : name) {
      hash = (hash << 4) + static_cast<unsigned char>(c);
      const uint32_t high = hash & 0xf0000000;
      hash = (hash ^ (high >> 24)) & ~high;
    }
    const auto buckets = entry<uint32_t>(tables_.hash, 0);
    if (buckets == 0) return std::nullopt;
    uint64_t index = entry<uint32_t>(tables_.hash, uint64_t{2} + hash % buckets);
    for (uint32_t step = 0; index != 0 && step < kMaxHashSteps; ++step) {
      const auto symbol = entry<Elf64_Sym>(tables_.symbols, index);
      if (has_name(symbol, name)) return symbol;
      index = entry<uint32_t>(tables_.hash, uint64_t{2} + buckets + index);
    }
    return std::nullopt;
  }

  const LibraryFile& file_;
  std::vector<Elf64_Phdr> segments_;
  Dynamic tables_;
};

}  // namespace

std::vector<std::byte> read_exported_object(const std::filesystem::path& path,
                                            std::string_view name, size_t size) {
  const LibraryFile file(path);
  const SymbolTable table(file);
  const std::optional<Elf64_Sym> symbol = table.find(name);
  if (!symbol || symbol->st_shndx == SHN_UNDEF)
    file.refuse(fmt::format("is a library, but exports no {}", name));
  if (ELF64_ST_TYPE(symbol->st_info) != STT_OBJECT)
    file.refuse(fmt::format("exports {} as something else than data", name));
  if (symbol->st_size < size)
    file.refuse(
        fmt::format("exports {} of {} bytes, expected {} or more", name, symbol->st_size, size));
  const std::optional<uint64_t> offset = table.find_offset(symbol->st_value, size);
  if (!offset)
    file.refuse(fmt::format("does not hold its {}, which is filled only when it is loaded", name));
  std::vector<std::byte> bytes(size);
  file.read(*offset, std::span(bytes));
  return bytes;
}

}  // namespace ropewalk
