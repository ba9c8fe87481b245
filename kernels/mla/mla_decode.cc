#include "kernels/mla/mla_decode.h"

#include <algorithm>

#include "kernels/mla/attention_core.h"
#include "kernels/mla/mla_checks.h"
#include "kernels/mla/mla_scratch.h"

namespace atoll::kernels {

namespace {

// Work is cut into tiles: (row, 16 heads, segment), in that order of loops, and taken in waves of as many tiles as the scratch holds.
// Within a wave four steps, each spread over the threads: pack queries, scores, softmax, values. All tiles of one (row, 16 heads), a
// group, merge in ascending order; a group that a wave cuts goes on in the next one with its running state.

constexpr int kScoreKeysPerBlock = 128;
constexpr int64_t kValueColumns = 64;   // per block of the value step

int WaveTiles(int threads) { return std::clamp(4 * threads, 16, 64); }

struct Group {
  int64_t row = 0;           // in args.rows
  int64_t first_head = 0;
  int first_tile = 0;        // in this wave
  int tiles = 0;
  bool begins = false;       // its first segment is in this wave
  bool ends = false;         // its last segment is in this wave
  LaneState* state = nullptr;
  float* z = nullptr;        // [16, latent_dim]
  void* packed = nullptr;
};

struct Wave {
  int tiles_max = 0;
  int tiles = 0;
  int groups = 0;
  AttentionTile* tile = nullptr;     // [tiles_max]
  Group* group = nullptr;            // [tiles_max]
  float* scores = nullptr;           // [tiles_max, 1024, 16]
  // One more than a wave has groups: the one that goes on and those that follow never share.
  LaneState* states = nullptr;       // [tiles_max + 1]
  float* z = nullptr;                // [tiles_max + 1, 16, latent_dim]
  float* packed = nullptr;           // [tiles_max + 1, row elements, 16]
};

Wave LayOut(ScratchLayout& scratch, const MlaShape& shape, int threads) {
  Wave wave;
  wave.tiles_max = WaveTiles(threads);
  const int64_t tiles = wave.tiles_max;
  wave.tile = scratch.Take<AttentionTile>(tiles);
  wave.group = scratch.Take<Group>(tiles);
  wave.scores = scratch.Take<float>(tiles * kSegmentKeys * kQueryLanes);
  wave.states = scratch.Take<LaneState>(tiles + 1);
  wave.z = scratch.Take<float>((tiles + 1) * kQueryLanes * shape.pages.latent_dim);
  wave.packed = scratch.Take<float>((tiles + 1) * kQueryLanes * shape.pages.RowElements());
  return wave;
}

// Where the loops over rows, groups of heads and segments stand.
struct Cursor {
  int64_t row = 0;
  int64_t first_head = 0;
  int64_t segment = 0;
  int64_t group_number = 0;
};

class DecodeRun {
 public:
  DecodeRun(const Context& context, const MlaDecodeArgs& args, Wave wave)
      : context_(context), args_(args), shape_(args.shape), core_(AttentionCoreOf(context.isa)), wave_(wave) {}

  void RunAll() {
    while (FillWave()) {
      ParallelFor(context_, wave_.groups, [&](int64_t g, int) { Pack(wave_.group[g]); });
      ParallelFor(context_, int64_t{wave_.tiles} * kScoreBlocks, [&](int64_t i, int) { Score(i); });
      ParallelFor(context_, wave_.tiles, [&](int64_t t, int) { core_.softmax(&wave_.tile[t]); });
      ParallelFor({context_.isa, nullptr}, wave_.groups, [&](int64_t g, int) { Merge(wave_.group[g]); });
      ParallelFor(context_, wave_.groups * ColumnBlocks(), [&](int64_t i, int) { Values(i); });
    }
  }

 private:
  static constexpr int64_t kScoreBlocks = kSegmentKeys / kScoreKeysPerBlock;

  int64_t ColumnBlocks() const { return (shape_.pages.latent_dim + kValueColumns - 1) / kValueColumns; }

  // Takes the next tiles; false when none are left.
  bool FillWave() {
    wave_.tiles = wave_.groups = 0;
    while (wave_.tiles < wave_.tiles_max && at_.row < static_cast<int64_t>(args_.rows.size())) {
      const MlaRow& row = args_.rows[at_.row];
      const int64_t segments = row.position / kSegmentKeys + 1;
      const int64_t count = std::min<int64_t>(segments - at_.segment, wave_.tiles_max - wave_.tiles);
      AddGroup(static_cast<int>(count), at_.segment + count == segments);
      at_.segment += count;
      if (at_.segment == segments) NextGroup();
    }
    return wave_.tiles > 0;
  }

  void NextGroup() {
    at_.segment = 0;
    at_.group_number += 1;
    at_.first_head += kQueryLanes;
    if (at_.first_head >= shape_.heads) {
      at_.first_head = 0;
      at_.row += 1;
    }
  }

  void AddGroup(int tiles, bool ends) {
    const int64_t home = at_.group_number % (wave_.tiles_max + 1);
    Group& group = wave_.group[wave_.groups];
    group = {.row = at_.row, .first_head = at_.first_head, .first_tile = wave_.tiles, .tiles = tiles, .begins = at_.segment == 0, .ends = ends,
             .state = wave_.states + home, .z = wave_.z + home * kQueryLanes * shape_.pages.latent_dim,
             .packed = wave_.packed + home * kQueryLanes * shape_.pages.RowElements()};
    if (group.begins) group.state->seen = 0;
    for (int i = 0; i < tiles; ++i) {
      FillTile(group, at_.segment + i, wave_.tiles++);
    }
    wave_.groups += 1;
  }

  void FillTile(const Group& group, int64_t segment, int t) {
    const MlaRow& row = args_.rows[group.row];
    AttentionTile& tile = wave_.tile[t];
    tile.bf16 = shape_.pages.dtype == DType::kBF16;
    tile.lanes = static_cast<int>(std::min<int64_t>(kQueryLanes, shape_.heads - group.first_head));
    tile.nope_dim = shape_.pages.latent_dim;
    tile.rope_dim = shape_.pages.rope_dim;
    tile.packed = group.packed;
    tile.scale = shape_.scale;
    tile.key_stride = tile.value_stride = shape_.pages.RowElements();
    tile.keys_max = static_cast<int32_t>(std::min<int64_t>(kSegmentKeys, row.position + 1 - segment * kSegmentKeys));
    tile.scores = wave_.scores + static_cast<int64_t>(t) * kSegmentKeys * kQueryLanes;
    std::fill_n(tile.lane_keys, kQueryLanes, tile.keys_max);
    for (int block = 0; block * kKeyBlock < tile.keys_max; ++block) {
      tile.keys[block] = tile.values[block] = KeyRow(shape_.pages, row.pages, args_.layer, segment * kSegmentKeys + block * kKeyBlock);
    }
    const int64_t element = DTypeBytes(shape_.pages.dtype);
    for (int lane = 0; lane < tile.lanes; ++lane) {
      tile.q_nope[lane] = args_.qa.Row(row.index) + (group.first_head + lane) * tile.nope_dim * element;
      tile.q_rope[lane] = args_.q_rope.Row(row.index) + (group.first_head + lane) * tile.rope_dim * element;
    }
  }

  void Pack(const Group& group) { core_.pack_queries(wave_.tile[group.first_tile]); }

  void Score(int64_t i) {
    const AttentionTile& tile = wave_.tile[i / kScoreBlocks];
    const int32_t first = static_cast<int32_t>(i % kScoreBlocks) * kScoreKeysPerBlock;
    if (first < tile.keys_max) core_.scores(tile, first, std::min(tile.keys_max, first + kScoreKeysPerBlock));
  }

  void Merge(const Group& group) {
    for (int t = 0; t < group.tiles; ++t) core_.merge(&wave_.tile[group.first_tile + t], group.state);
  }

  void Values(int64_t i) {
    const Group& group = wave_.group[i / ColumnBlocks()];
    const int64_t begin = i % ColumnBlocks() * kValueColumns;
    const int64_t latent = shape_.pages.latent_dim;
    const ValueRange range = {.begin = begin, .end = std::min(latent, begin + kValueColumns), .z = group.z, .z_stride = latent};
    for (int t = 0; t < group.tiles; ++t) core_.values(wave_.tile[group.first_tile + t], range);
    if (group.ends) Finish(group, range);
  }

  void Finish(const Group& group, const ValueRange& range) {
    const int64_t element = DTypeBytes(shape_.pages.dtype);
    const AttentionTile& tile = wave_.tile[group.first_tile];
    std::byte* out = args_.z.Row(args_.rows[group.row].index) + (group.first_head * shape_.pages.latent_dim + range.begin) * element;
    for (int lane = 0; lane < tile.lanes; ++lane) {
      core_.finish(range.z + lane * range.z_stride + range.begin, group.state->sum[lane], range.end - range.begin, tile.bf16,
                   out + lane * shape_.pages.latent_dim * element);
    }
  }

  const Context& context_;
  const MlaDecodeArgs& args_;
  const MlaShape& shape_;
  const AttentionCore& core_;
  Wave wave_;
  Cursor at_;
};

KernelError Check(const Context& context, const MlaDecodeArgs& args) {
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckMlaShape(args.shape, args.layer));
  const int64_t rows = args.qa.rows;
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckMlaMatrix("MlaDecode's qa", args.shape, args.qa, rows, args.shape.pages.latent_dim));
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckMlaMatrix("MlaDecode's q_rope", args.shape, args.q_rope, rows, args.shape.pages.rope_dim));
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckMlaMatrix("MlaDecode's z", args.shape, args.z, rows, args.shape.pages.latent_dim));
  ATOLL_RETURN_IF_KERNEL_ERROR(CheckMlaRows(args.rows, rows));
  return CheckMlaScratch(args.scratch, MlaDecodeScratchBytes(args.shape, Threads(context)));
}

}  // namespace

KernelError MlaDecode(const Context& context, const MlaDecodeArgs& args) {
  ATOLL_RETURN_IF_KERNEL_ERROR(Check(context, args));
  ScratchLayout scratch(args.scratch);
  DecodeRun(context, args, LayOut(scratch, args.shape, Threads(context))).RunAll();
  return {};
}

int64_t MlaDecodeScratchBytes(const MlaShape& shape, int threads) {
  ScratchLayout scratch;
  LayOut(scratch, shape, threads);
  return scratch.bytes();
}

}  // namespace atoll::kernels
