#pragma once

// The safetensors files of ../shared/models/reference, read whole.

#include <cstddef>
#include <cstring>
#include <fstream>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "base/check.h"
#include "model/files/safetensors.h"

namespace atoll {

class ReferenceFile {
 public:
  explicit ReferenceFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    bytes_ = text.str();
    const model::SafetensorsLimits limits;
    const auto length = model::ParseSafetensorsPrefix(std::as_bytes(std::span(bytes_)).first(8), bytes_.size(), limits);
    ATOLL_CHECK(length.ok(), path);
    data_ = 8 + *length;
    auto tensors = model::ParseSafetensorsHeader(std::string_view(bytes_).substr(8, *length), bytes_.size() - data_, limits);
    ATOLL_CHECK(tensors.ok(), path);
    for (model::SafetensorsTensor& tensor : *tensors) tensors_[tensor.name] = tensor;
  }

  bool Has(const std::string& name) const { return tensors_.contains(name); }
  const std::vector<uint64_t>& Shape(const std::string& name) const { return tensors_.at(name).shape; }
  template <typename T>
  std::vector<T> Read(const std::string& name) const {
    const model::SafetensorsTensor& tensor = tensors_.at(name);
    std::vector<T> values((tensor.end - tensor.begin) / sizeof(T));
    std::memcpy(values.data(), bytes_.data() + data_ + tensor.begin, tensor.end - tensor.begin);
    return values;
  }

 private:
  std::string bytes_;
  size_t data_ = 0;
  std::map<std::string, model::SafetensorsTensor> tensors_;
};

}  // namespace atoll
