// Checkpoint folders with one fault each: names follow the rows of the bad-input catalogue.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <functional>

#include "model/checkpoint.h"
#include "tests/model/stored_tensors.h"

namespace atoll::model {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

void ExpectRefused(const std::string& dir, const std::string& part) {
  const auto checkpoint = Checkpoint::Open(dir);
  ASSERT_FALSE(checkpoint.ok()) << "opened, expected a refusal about " << part;
  EXPECT_THAT(std::string(checkpoint.status().message()), HasSubstr(part));
}

void ExpectChangeRefused(const std::function<void(StoredTensors&)>& change, const std::string& part) {
  StoredTensors tensors = TinyTensors();
  change(tensors);
  ExpectRefused(TinyFolder(tensors).path(), part);
}

const std::string kMatrixName = "model.layers.1.mlp.experts.2.up_proj.weight";  // [32, 160]
const std::string kScaleName = kMatrixName + "_scale_inv";                      // [1, 2]

TEST(HostileCheckpoint, TheUnchangedOneOpens) {
  const auto checkpoint = Checkpoint::Open(TinyFolder().path());
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
}

TEST(HostileCheckpoint, B35_LinkOutOfTheFolderIsRefused) {
  TinyFolder folder, outside;
  fs::remove(folder.weights());
  fs::create_symlink(outside.weights(), folder.weights());
  ExpectRefused(folder.path(), "leads out of the checkpoint's folder");
  fs::remove(folder.weights());
  fs::create_symlink("/dev/zero", folder.weights());
  ExpectRefused(folder.path(), "regular file");
}

TEST(HostileCheckpoint, B35_FifoIsRefusedWithoutWaiting) {
  TinyFolder folder;
  fs::remove(folder.weights());
  ASSERT_EQ(::mkfifo(folder.weights().c_str(), 0600), 0);
  ExpectRefused(folder.path(), "regular file");
  fs::remove(folder.File("config.json"));
  ASSERT_EQ(::mkfifo(folder.File("config.json").c_str(), 0600), 0);
  ExpectRefused(folder.path(), "regular file");
}

TEST(HostileCheckpoint, B35_FolderInPlaceOfAFileIsRefused) {
  TinyFolder folder;
  fs::remove(folder.weights());
  fs::create_directory(folder.weights());
  ExpectRefused(folder.path(), "regular file");
}

TEST(HostileCheckpoint, B35_LinksInsideTheFolderAndOfTheHubCacheOpen) {
  TinyFolder inside;
  fs::rename(inside.weights(), inside.File("blob"));
  fs::create_symlink("blob", inside.weights());
  EXPECT_TRUE(Checkpoint::Open(inside.path()).ok());

  TempDir cache;
  TinyFolder source;
  fs::create_directories(cache.File("snapshots/abc"));
  fs::create_directories(cache.File("blobs"));
  for (const char* name : {"config.json", "model.safetensors"}) {
    fs::copy(source.File(name), cache.File("blobs/") + name + "-hash");
    fs::create_symlink(std::string("../../blobs/") + name + "-hash", cache.File("snapshots/abc/") + name);
  }
  const auto checkpoint = Checkpoint::Open(cache.File("snapshots/abc"));
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
}

// Three shards with an index; `index` may be changed before opening.
class ShardedFolder {
 public:
  ShardedFolder() {
    EXPECT_TRUE(
        MakeCheckpoint({.config_json = kTinyConfig, .out_dir = dir_.path(), .seed = 1, .shard_bytes_max = 150000})
            .ok());
    index = ReadWhole(dir_.File(kIndex));
  }
  absl::Status Open() {
    WriteWhole(dir_.File(kIndex), index);
    return Checkpoint::Open(dir_.path()).status();
  }
  std::string File(const std::string& name) const { return dir_.File(name); }

  std::string index;

 private:
  static constexpr const char* kIndex = "model.safetensors.index.json";
  TempDir dir_;
};

void ExpectIndexRefused(const std::string& from, const std::string& to, const std::string& part) {
  ShardedFolder folder;
  ASSERT_TRUE(folder.Open().ok()) << folder.Open();
  const std::string unchanged = folder.index;
  folder.index = With(folder.index, from, to);
  ASSERT_NE(folder.index, unchanged) << from;
  const absl::Status status = folder.Open();
  ASSERT_FALSE(status.ok()) << to;
  EXPECT_THAT(std::string(status.message()), HasSubstr(part));
}

TEST(HostileCheckpoint, B44_IndexNamesAFileThatMayNotBeRead) {
  const std::string first = "\"model-00001-of-000003.safetensors\"";
  ExpectIndexRefused(first, "\"missing.safetensors\"", "missing.safetensors");
  ExpectIndexRefused(first, "\"/etc/passwd.safetensors\"", "same folder");
  ExpectIndexRefused(first, "\"../model-00001-of-000003.safetensors\"", "same folder");
  ExpectIndexRefused(first, "\"..\"", "same folder");
  ExpectIndexRefused(first, "\"config.json\"", "same folder");
  ExpectIndexRefused(first, "\"a\\u0000.safetensors\"", "same folder");
  ExpectIndexRefused(first, "17", "expected");
}

TEST(HostileCheckpoint, B44_TensorInTwoShardsIsRefused) {
  ShardedFolder folder;
  StoredTensors second = LoadStored(folder.File("model-00002-of-000003.safetensors"));
  second.push_back(LoadStored(folder.File("model-00001-of-000003.safetensors"))[1]);
  SaveStored(folder.File("model-00002-of-000003.safetensors"), second);
  EXPECT_THAT(std::string(folder.Open().message()), HasSubstr("is in two files"));
}

TEST(HostileCheckpoint, B44_IndexThatNamesTheWrongShardIsRefused) {
  ExpectIndexRefused("\"model.embed_tokens.weight\": \"model-00001", "\"model.embed_tokens.weight\": \"model-00002",
                     "it is not there");
}

// Published files have a total_size that no count explains, so nothing depends on it: the headers decide.
TEST(HostileCheckpoint, B44_TotalSizeIsNeverTrusted) {
  ShardedFolder folder;
  const size_t at = folder.index.find("\"total_size\": ") + 14;
  for (const char* lie : {"0", "18446744073709551615", "-1", "1e300", "\"many\""}) {
    ShardedFolder lying;
    lying.index =
        folder.index.substr(0, at) + lie + folder.index.substr(folder.index.find_first_not_of("0123456789", at));
    EXPECT_TRUE(lying.Open().ok()) << lying.Open();
  }
}

TEST(HostileCheckpoint, B44_BothAFileAndAnIndexIsRefused) {
  ShardedFolder folder;
  WriteWhole(folder.File("model.safetensors"), "");
  EXPECT_THAT(std::string(folder.Open().message()), HasSubstr("found both"));
}

TEST(HostileCheckpoint, B45_MissingTensorIsNamed) {
  for (size_t i = 0; i < TinyTensors().size(); ++i) {
    const std::string name = TinyTensors()[i].described.name;
    ExpectChangeRefused(
        [&](StoredTensors& tensors) { tensors.erase(tensors.begin() + static_cast<std::ptrdiff_t>(i)); }, name);
  }
}

TEST(HostileCheckpoint, B45_ExtraTensorIsNamed) {
  const auto with = [](const std::string& name) {
    return [name](StoredTensors& tensors) {
      tensors.push_back({{.name = name, .type = StoredType::kU8, .shape = {1}}, "x"});
    };
  };
  ExpectChangeRefused(with("model.layers.1.self_attn.indexer.wk.weight"), "indexer.wk.weight does not belong");
  ExpectChangeRefused(with("model.layers.3.enorm.weight"), "model.layers.3.enorm.weight does not belong");
  StoredTensors skipped = TinyTensors();
  with("model.layers.0.self_attn.rotary_emb.inv_freq")(skipped);
  EXPECT_TRUE(Checkpoint::Open(TinyFolder(skipped).path()).ok());
}

TEST(HostileCheckpoint, B45_WrongShapeOrTypeIsNamed) {
  const auto shape = [](const std::string& name, std::vector<uint64_t> to) {
    return [=](StoredTensors& tensors) { Named(tensors, name).described.shape = to; };
  };
  ExpectChangeRefused(shape(kMatrixName, {160, 32}), kMatrixName + ": expected the shape [32, 160], found [160, 32]");
  ExpectChangeRefused(shape(kMatrixName, {5120}), "found [5120]");
  ExpectChangeRefused(shape(kMatrixName, {32, 160, 1}), "found [32, 160, 1]");
  ExpectChangeRefused(shape(kMatrixName, {1, 32, 160}), "found [1, 32, 160]");
  ExpectChangeRefused(shape(kScaleName, {2, 1}), kScaleName + ": expected the shape [1, 2], found [2, 1]");
  ExpectChangeRefused(shape("model.norm.weight", {160, 1}),
                      "model.norm.weight: expected the shape [160], found [160, 1]");
  const auto type = [](const std::string& name, StoredType to) {
    return [=](StoredTensors& tensors) { Named(tensors, name).described.type = to; };
  };
  ExpectChangeRefused(type(kMatrixName, StoredType::kF8E5M2),
                      kMatrixName + ": expected the dtype F8_E4M3, found F8_E5M2");
  ExpectChangeRefused(type("model.norm.weight", StoredType::kF16), "found F16");
  ExpectChangeRefused(type(kScaleName, StoredType::kI32), "found I32");
}

void ExpectReadRefused(const std::function<void(StoredTensors&)>& change, const std::string& read,
                       const std::string& part) {
  StoredTensors tensors = TinyTensors();
  change(tensors);
  TinyFolder folder(tensors);
  const auto checkpoint = Checkpoint::Open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const bool is_vector = (*checkpoint)->Find(read)->spec->cols == 0;
  const absl::Status status =
      is_vector ? (*checkpoint)->ReadVector(read).status() : (*checkpoint)->ReadMatrix(read).status();
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(part));
}

std::string FloatBytes(float value) { return {reinterpret_cast<const char*>(&value), sizeof(value)}; }

TEST(HostileCheckpoint, B45_ScaleThatIsNoScaleIsNamed) {
  for (float bad :
       {0.0f, -0.0f, -1.0f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    ExpectReadRefused([&](StoredTensors& tensors) { Named(tensors, kScaleName).bytes.replace(4, 4, FloatBytes(bad)); },
                      kMatrixName, kScaleName);
  }
}

TEST(HostileCheckpoint, B45_E8M0ScalesAreReadAndTheirNaNIsNamed) {
  const auto scales = [](std::string bytes) {
    return [bytes](StoredTensors& tensors) {
      Named(tensors, kScaleName).described.type = StoredType::kF8E8M0;
      Named(tensors, kScaleName).bytes = bytes;
    };
  };
  StoredTensors tensors = TinyTensors();
  scales("\x7f\x80")(tensors);
  TinyFolder folder(tensors);
  const HostMatrix matrix = *(*Checkpoint::Open(folder.path()))->ReadMatrix(kMatrixName);
  EXPECT_THAT(matrix.scales, testing::ElementsAre(1.0f, 2.0f));
  ExpectReadRefused(scales("\x7f\xff"), kMatrixName, kScaleName);
}

TEST(HostileCheckpoint, B45_WeightsThatAreNotFiniteAreNamed) {
  ExpectReadRefused([](StoredTensors& tensors) { Named(tensors, kMatrixName).bytes[5119] = '\x7f'; }, kMatrixName,
                    kMatrixName + ": element 5119");
  ExpectReadRefused([](StoredTensors& tensors) { Named(tensors, kMatrixName).bytes[77] = '\xff'; }, kMatrixName,
                    kMatrixName + ": element 77");
  ExpectReadRefused([](StoredTensors& tensors) { Named(tensors, "lm_head.weight").bytes.replace(8, 2, "\x80\x7f"); },
                    "lm_head.weight", "lm_head.weight: element 4");
  ExpectReadRefused(
      [](StoredTensors& tensors) { Named(tensors, "model.norm.weight").bytes.replace(318, 2, "\x80\xff"); },
      "model.norm.weight", "element 159");
  const std::string bias = "model.layers.1.mlp.gate.e_score_correction_bias";
  ExpectReadRefused(
      [&](StoredTensors& tensors) { Named(tensors, bias).bytes.replace(12, 4, FloatBytes(std::nanf(""))); }, bias,
      "element 3");
}

TEST(HostileCheckpoint, B45_BiasAndNormsMayBeEitherType) {
  StoredTensors tensors = TinyTensors();
  StoredTensor& bias = Named(tensors, "model.layers.1.mlp.gate.e_score_correction_bias");
  bias.described.type = StoredType::kBF16;
  bias.bytes = std::string("\x80\x3f\x00\x40\x00\x00\x80\xbf", 8);
  TinyFolder folder(tensors);
  EXPECT_THAT((*Checkpoint::Open(folder.path()))->ReadVector(bias.described.name).value(),
              testing::ElementsAre(1.0f, 2.0f, 0.0f, -1.0f));
}

TEST(HostileCheckpoint, B45_MtpIsWholeOrAbsent) {
  StoredTensors tensors = TinyTensors();
  std::erase_if(tensors,
                [](const StoredTensor& tensor) { return tensor.described.name.starts_with("model.layers.2."); });
  const auto checkpoint = Checkpoint::Open(TinyFolder(tensors).path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_FALSE((*checkpoint)->has_mtp());
  EXPECT_EQ((*checkpoint)->ReadVector("model.layers.2.enorm.weight").status().code(), absl::StatusCode::kNotFound);
  tensors.push_back(TinyTensors()[1]);
  tensors.back().described.name = "model.layers.2.enorm.weight";
  ExpectRefused(TinyFolder(tensors).path(), "is missing");
}

TEST(HostileCheckpoint, B45_MtpCopiesMustEqualTheMainTensors) {
  StoredTensors tensors = TinyTensors();
  tensors.push_back(Named(tensors, "model.embed_tokens.weight"));
  tensors.back().described.name = "model.layers.2.embed_tokens.weight";
  EXPECT_TRUE(Checkpoint::Open(TinyFolder(tensors).path()).ok());
  EXPECT_EQ((*Checkpoint::Open(TinyFolder(tensors).path()))->fingerprint(),
            (*Checkpoint::Open(TinyFolder().path()))->fingerprint());
  tensors.back().bytes[0] ^= 1;
  ExpectRefused(TinyFolder(tensors).path(), "model.layers.2.embed_tokens.weight must equal model.embed_tokens.weight");
}

// The read that follows is an error, not a signal.
TEST(HostileCheckpoint, B46_FileThatShrinksIsAnError) {
  TinyFolder folder;
  const auto checkpoint = *Checkpoint::Open(folder.path());
  fs::resize_file(folder.weights(), 4096);
  const absl::Status status = checkpoint->ReadMatrix("lm_head.weight").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("shorter"));
}

TEST(HostileCheckpoint, B46_FileThatIsWrittenToIsAnError) {
  TinyFolder folder;
  fs::last_write_time(folder.weights(), fs::file_time_type::clock::now() - std::chrono::hours(1));
  const auto checkpoint = *Checkpoint::Open(folder.path());
  ASSERT_TRUE(checkpoint->ReadMatrix(kMatrixName).ok());
  std::fstream(folder.weights(), std::ios::in | std::ios::out | std::ios::binary).seekp(-1, std::ios::end).put('x');
  EXPECT_EQ(checkpoint->ReadMatrix(kMatrixName).status().code(), absl::StatusCode::kDataLoss);
}

TEST(HostileCheckpoint, B46_FileThatIsReplacedIsReadAsItWas) {
  TinyFolder folder;
  const auto checkpoint = *Checkpoint::Open(folder.path());
  WriteWhole(folder.File("new"), "short");
  fs::rename(folder.File("new"), folder.weights());
  EXPECT_TRUE(checkpoint->ReadMatrix(kMatrixName).ok());
}

}  // namespace
}  // namespace atoll::model
