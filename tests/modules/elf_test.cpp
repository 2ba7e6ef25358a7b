// Files that are no libraries for this machine, and tables with invalid offsets.
#include "core/modules/elf.h"

#include <elf.h>
#include <sys/stat.h>

#include <cstring>

#include "core/modules/door.h"
#include "tests/modules/modules_test.h"

namespace ropewalk::test {
namespace {

using testing::HasSubstr;

std::string door(const fs::path& file) {
  return error_of([&] { check_door(file); });
}

// The honest library with `bytes` written over it at `offset`.
std::string patched(size_t offset, const std::string& bytes) {
  return read_file(liar("honest")).replace(offset, bytes.size(), bytes);
}

TEST(Door, OpensForAnHonestLibrary) {
  const ModuleHead head = check_door(liar("honest"));
  EXPECT_EQ(head.kind, abi::ModuleKind::sampler);
  EXPECT_EQ(head.abi_major, 1);
  EXPECT_EQ(head.struct_size, sizeof(abi::Module));
  EXPECT_EQ(head.toolchain, abi::kToolchain);
}

TEST(Door, RefusesWhatIsNoFile) {
  const TemporaryFolder scratch;
  EXPECT_THAT(door(scratch.path() / "gone.so"),
              HasSubstr("gone.so: cannot be opened: No such file or directory."));
  EXPECT_THAT(door(scratch.path()), HasSubstr("is not a regular file, expected a shared library."));
  const fs::path fifo = scratch.path() / "fifo.so";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(door(fifo), HasSubstr("is not a regular file"));
  EXPECT_THAT(door("/dev/zero"), HasSubstr("is not a regular file"));
}

TEST(Door, RefusesWhatIsNoLibrary) {
  const TemporaryFolder scratch;
  EXPECT_THAT(door(scratch.write("a.so", "")), HasSubstr("is empty, expected a shared library."));
  EXPECT_THAT(door(scratch.write("b.so", "short")), HasSubstr("it has 5 bytes."));
  EXPECT_THAT(door(scratch.write("c.so", std::string(1000, 'x'))),
              HasSubstr("is not a shared library, expected an ELF file."));
}

TEST(Door, RefusesOtherMachines) {
  const TemporaryFolder scratch;
  EXPECT_THAT(door(scratch.write("a.so", patched(EI_CLASS, "\x01"))),
              HasSubstr("is a library for another machine, expected 64-bit little-endian."));
  EXPECT_THAT(door(scratch.write("b.so", patched(EI_DATA, "\x02"))),
              HasSubstr("expected 64-bit little-endian."));
  EXPECT_THAT(door(scratch.write("c.so", patched(offsetof(Elf64_Ehdr, e_machine), "\xf3"))),
              HasSubstr("is a library for another machine (ELF machine 243), expected "));
  EXPECT_THAT(door(scratch.write("d.so", patched(offsetof(Elf64_Ehdr, e_type), "\x02"))),
              HasSubstr("is not a shared library (ELF type is not DYN)."));
}

TEST(Door, RefusesTablesBeyondTheFile) {
  const TemporaryFolder scratch;
  const std::string far(8, '\x7f');
  EXPECT_THAT(door(scratch.write("a.so", patched(offsetof(Elf64_Ehdr, e_phoff), far))),
              HasSubstr("a table reaches beyond the end of the file. Build or install it again."));
  EXPECT_THAT(
      door(scratch.write("b.so", patched(offsetof(Elf64_Ehdr, e_phnum), std::string("\0\0", 2)))),
      HasSubstr("found 0 program headers of 56 bytes."));
  // The first program header begins at 64.
  EXPECT_THAT(door(scratch.write("c.so", patched(64 + offsetof(Elf64_Phdr, p_filesz), far))),
              HasSubstr("is damaged or incomplete: a segment has more bytes in the file than in"));
  std::string longer = patched(64 + offsetof(Elf64_Phdr, p_filesz), std::string("\0\0\0\0\x01", 5));
  longer.replace(64 + offsetof(Elf64_Phdr, p_memsz), 5, std::string("\0\0\0\0\x01", 5));
  EXPECT_THAT(
      door(scratch.write("d.so", longer)),
      HasSubstr("is damaged or incomplete: a segment ends at byte 0 + 4294967296, the file"));
}

// Changes every byte of the header and of the program headers: a refusal or a pass, never a crash.
TEST(Door, SurvivesEveryByteOfTheHeaders) {
  const TemporaryFolder scratch;
  const std::string bytes = read_file(liar("honest"));
  const fs::path path = scratch.write("flip.so", bytes);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  const auto put = [&](size_t offset, char byte) {
    file.seekp(static_cast<std::streamoff>(offset)).put(byte).flush();
  };
  for (size_t offset = 0; offset < 64 + 56 * 8; ++offset) {
    put(offset, static_cast<char>(~bytes[offset]));
    door(path);
    put(offset, bytes[offset]);
  }
  EXPECT_EQ(door(path), "no error");
}

TEST(Elf, ReadsTheObjectsBytes) {
  const auto bytes = read_exported_object(liar("honest"), "ropewalk_module", 8);
  EXPECT_EQ(std::memcmp(bytes.data(), "ROPEWALK", 8), 0);
  EXPECT_THAT(error_of([] { read_exported_object(liar("honest"), "ropewalk_modul", 8); }),
              HasSubstr("exports no ropewalk_modul."));
  EXPECT_THAT(error_of([] { read_exported_object(liar("honest"), "ropewalk_module", 5000); }),
              HasSubstr("expected 5000 or more."));
}

}  // namespace
}  // namespace ropewalk::test
