#pragma once

// A safetensors file taken apart and put together again, to make checkpoints with one fault.

#include <algorithm>
#include <string>
#include <vector>

#include "model/files/safetensors.h"
#include "model/make.h"
#include "tests/model/configs.h"
#include "tests/model/temp_dir.h"

namespace atoll::model {

struct StoredTensor {
  SafetensorsTensor described;
  std::string bytes;
};
using StoredTensors = std::vector<StoredTensor>;

inline StoredTensors LoadStored(const std::string& path) {
  const std::string file = ReadWhole(path);
  const uint64_t length = *ParseSafetensorsPrefix(std::as_bytes(std::span(file.data(), 8)), file.size(), {});
  const uint64_t data = 8 + length;
  StoredTensors tensors;
  const auto described = *ParseSafetensorsHeader(std::string_view(file).substr(8, length), file.size() - data, {});
  for (const SafetensorsTensor& tensor : described) {
    tensors.push_back({tensor, file.substr(data + tensor.begin, tensor.end - tensor.begin)});
  }
  return tensors;
}

inline void SaveStored(const std::string& path, const StoredTensors& tensors) {
  std::vector<SafetensorsTensor> described;
  std::string data;
  for (const StoredTensor& tensor : tensors) {
    described.push_back(tensor.described);
    data += tensor.bytes;
  }
  WriteWhole(path, MakeSafetensorsHeader(described) + data);
}

inline StoredTensor& Named(StoredTensors& tensors, const std::string& name) {
  return *std::find_if(tensors.begin(), tensors.end(),
                       [&](const StoredTensor& tensor) { return tensor.described.name == name; });
}

// The tiny model in one file, made once per test program.
inline const StoredTensors& TinyTensors() {
  static const StoredTensors tensors = [] {
    TempDir dir;
    EXPECT_TRUE(MakeCheckpoint({.config_json = kTinyConfig, .out_dir = dir.path(), .seed = 1}).ok());
    return LoadStored(dir.File("model.safetensors"));
  }();
  return tensors;
}

// A folder with the tiny model's config and these tensors.
class TinyFolder {
 public:
  explicit TinyFolder(const StoredTensors& tensors = TinyTensors()) {
    WriteWhole(dir_.File("config.json"), kTinyConfig);
    SaveStored(dir_.File("model.safetensors"), tensors);
  }
  const std::string& path() const { return dir_.path(); }
  std::string File(const std::string& name) const { return dir_.File(name); }
  std::string weights() const { return dir_.File("model.safetensors"); }

 private:
  TempDir dir_;
};

}  // namespace atoll::model
