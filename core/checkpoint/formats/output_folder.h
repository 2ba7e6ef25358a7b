// output_folder.h — a model directory in the making: no file in it has its name before all are
// whole.
//
//   DIR/model.safetensors.partial   while tensors are written, in any order
//   DIR/model.safetensors           after commit(), which flushes every file and then renames them
//
// A long run may be killed and go on later (Existing::keep): then what is there stays, and what was
// written is read again.
//
// Owns the open files. write_at() may be called from several threads, everything else from one.
// Throws Error: usage where DIR holds something already, output where something cannot be written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/checkpoint/formats/files.h"

namespace ropewalk {

// What becomes of files that are there already.
enum class Existing : uint8_t {
  refuse,  // the path is taken: Error
  keep,    // they are an earlier run's, which the caller has made sure of
};

class OutputFile {
 public:
  // Takes the room on the disk at once, so that a full disk is noticed before the work.
  OutputFile(const std::filesystem::path& file, uint64_t bytes, Existing existing);

  void write_at(uint64_t offset, std::span<const std::byte> bytes) const;
  // REQUIRES: within the file. Throws Error (output) where it cannot be read.
  void read_at(uint64_t offset, std::span<std::byte> bytes) const;
  void flush() const;

 private:
  [[noreturn]] void fail(int error) const;

  std::string path_;
  Descriptor fd_;
};

class OutputFolder {
 public:
  // Makes the directory where it does not exist. Existing::refuse refuses one that is not empty.
  OutputFolder(std::filesystem::path path, Existing existing);
  // Without commit() what was made is removed again, except with Existing::keep.
  ~OutputFolder();
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  // With Existing::keep the bytes of an earlier run are in it, whether that has renamed it or not.
  OutputFile& add(const std::string& name, uint64_t bytes);
  void add_text(const std::string& name, std::string_view text);

  // Files get their names in the order in which they were added: the one that makes the directory a
  // model (config.json) comes last.
  void commit();

 private:
  struct Part {
    std::string name;
    std::unique_ptr<OutputFile> file;
  };

  std::filesystem::path partial(const Part& part) const { return path_ / (part.name + ".partial"); }

  std::filesystem::path path_;
  Existing existing_;
  bool made_ = false, committed_ = false;
  std::vector<Part> parts_;  // not yet renamed
};

}  // namespace ropewalk
